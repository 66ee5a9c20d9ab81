from django.contrib import admin

from .models import Order, OrderLine


class OrderLineInline(admin.TabularInline):
    model = OrderLine
    extra = 0


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    list_display = ["__str__", "user", "state", "created", "total"]
    list_filter = ["state", "created"]
    search_fields = ["user__username", "ship_to"]
    inlines = [OrderLineInline]
    actions = ["mark_as_sent"]

    @admin.action(description="Mark as sent")
    def mark_as_sent(self, request, queryset):
        self.message_user(request, "%d sent" % queryset.update(state=Order.SENT))
