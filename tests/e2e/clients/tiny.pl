# Perl's HTTP::Tiny, which comes with Perl.
use strict;
use warnings;
use HTTP::Tiny;

my ($origin, $method, $target, $file) = @ARGV;
my %options = (headers => { 'Content-Type' => 'application/json' });
if ($method eq 'POST') {
    open my $in, '<:raw', $file or die $!;
    local $/;
    $options{content} = <$in>;
}
my $response = HTTP::Tiny->new(timeout => 20)->request($method, $origin . $target, \%options);
binmode STDOUT;
print "$response->{status} $response->{protocol}\n$response->{content}";
