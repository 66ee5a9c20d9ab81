# A PSGI application, see uwsgi.ini; the text is in lib/Greeting.pm.
use strict;
use warnings;
use lib 'lib';
use Greeting;

my $app = sub {
    return [ 200, [ 'Content-Type' => 'text/plain; charset=utf-8' ], [ Greeting::text() ] ];
};
