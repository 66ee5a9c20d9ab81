from django.contrib import admin

from .models import Customer


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):
    list_display = ["user", "city", "wants_news"]
    list_filter = ["wants_news"]
    search_fields = ["user__username", "city"]
