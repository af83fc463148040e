/**
 * For programs that make packets: `sum(BYTES)` is their Internet checksum (RFC 1071) as it stands in a header, of an even
 * number of bytes, in which the place of the sum holds zeros.
 */
export const perlChecksum = `
sub sum {
  my $sum = 0;
  $sum += $_ for unpack('n*', $_[0]);
  $sum = ($sum & 65535) + ($sum >> 16) while $sum >> 16;
  return pack('n', ~$sum & 65535);
}
`
