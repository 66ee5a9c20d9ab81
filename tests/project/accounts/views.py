from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.shortcuts import redirect, render

from .forms import CustomerForm


def signup(request):
    form = UserCreationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.save())
        return redirect("accounts:profile")
    return render(request, "accounts/form.html", {"form": form, "heading": "Sign up"})


@login_required
def profile(request):
    form = CustomerForm(request.POST or None, instance=request.user.customer)
    if request.method == "POST" and form.is_valid():
        form.save()
        messages.success(request, "Saved.")
        return redirect("accounts:profile")
    orders = request.user.orders.prefetch_related("lines")
    return render(request, "accounts/profile.html", {"form": form, "orders": orders})
