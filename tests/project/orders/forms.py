from django import forms

from .models import Order


class AddToBasketForm(forms.Form):
    quantity = forms.IntegerField(min_value=1, max_value=99, initial=1)


class CheckoutForm(forms.ModelForm):
    class Meta:
        model = Order
        fields = ["ship_to"]
        widgets = {"ship_to": forms.Textarea(attrs={"rows": 3})}
