package Greeting;

use strict;
use warnings;

sub text {
    return "Edit me, save me, and load this page again.\n";
}

1;
