from django import forms

from .models import Category, Review


class SearchForm(forms.Form):
    q = forms.CharField(label="Search", required=False)
    category = forms.ModelChoiceField(Category.objects.all(), required=False, empty_label="all categories")


class ReviewForm(forms.ModelForm):
    class Meta:
        model = Review
        fields = ["author", "stars", "text"]
        widgets = {"text": forms.Textarea(attrs={"rows": 3})}
