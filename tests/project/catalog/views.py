from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.views.generic import ListView

from orders.forms import AddToBasketForm

from .forms import ReviewForm, SearchForm
from .models import Product


class ProductList(ListView):
    template_name = "catalog/list.html"
    context_object_name = "products"
    paginate_by = 12

    def get_queryset(self):
        products = Product.objects.on_sale().select_related("category")
        self.form = SearchForm(self.request.GET)
        if self.form.is_valid():
            if self.form.cleaned_data["q"]:
                products = products.matching(self.form.cleaned_data["q"])
            if self.form.cleaned_data["category"]:
                products = products.filter(category=self.form.cleaned_data["category"])
        return products

    def get_context_data(self, **kwargs):
        return super().get_context_data(form=self.form, **kwargs)


def detail(request, slug):
    product = get_object_or_404(Product.objects.on_sale().select_related("category"), slug=slug)
    review_form = ReviewForm(request.POST or None)
    if request.method == "POST" and review_form.is_valid():
        review_form.instance.product = product
        review_form.save()
        messages.success(request, "Thank you for the review.")
        return redirect(product)
    return render(
        request,
        "catalog/detail.html",
        {"product": product, "review_form": review_form, "basket_form": AddToBasketForm()},
    )
