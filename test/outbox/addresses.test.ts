import { expect, test } from "bun:test";
import { refusedAddress } from "../../src/outbox/addresses.ts";

test.each([
  "169.254.0.0",
  "169.254.169.254",
  "169.254.255.255",
  // The same in octal, in hex, as one number, as two, and with a dot at the end.
  "0251.0376.0251.0376",
  "0xa9.0xfe.0xa9.0xfe",
  "0xa9fea9fe",
  "2852039166",
  "169.16689662",
  "169.254.169.254.",
  "fe80::",
  "fe80::1",
  "FE80::1%eth0",
  "febf:ffff::1",
  "::ffff:169.254.169.254",
  "::FFFF:A9FE:A9FE",
  "0:0:0:0:0:ffff:a9fe:a9fe",
  "::169.254.169.254",
  "::ffff:0:169.254.169.254",
  "64:ff9b::169.254.169.254",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b:1::a9fe:a9fe",
  "2002:a9fe:a9fe::1",
])("%s is refused as link-local", (address) => {
  expect(refusedAddress(address)).toBe("a link-local address");
});

test.each([
  ["100.100.100.200", "the metadata server of Alibaba Cloud"],
  ["::ffff:100.100.100.200", "the metadata server of Alibaba Cloud"],
  ["168.63.129.16", "the wire server of Azure"],
  ["64:ff9b::168.63.129.16", "the wire server of Azure"],
  ["192.0.0.192", "the metadata server of Oracle Cloud"],
  ["fd00:ec2::254", "the metadata server of AWS"],
  ["fd00:0ec2:0:0:0:0:0:0254", "the metadata server of AWS"],
  ["fd00:ec2::23", "the credentials server of Amazon EKS"],
  ["fd20:ce::254", "the metadata server of Google Cloud"],
  ["fd00:c1::a9fe:a9fe", "the metadata server of Oracle Cloud"],
  ["fd00:42::42", "the metadata server of Scaleway"],
])("%s is refused as %s", (address, what) => {
  expect(refusedAddress(address)).toBe(what);
});

test.each(["", "app.test", "1.2.3.4.5", "::g", "1::2::3", "fe80", "%eth0", "127.0.0.1/8"])(
  "%p is refused, because it cannot be checked",
  (text) => {
    expect(refusedAddress(text)).toBe("no address");
  },
);

test.each([
  "0.0.0.0",
  "127.0.0.1",
  "10.0.0.1",
  "172.17.0.1",
  "192.168.1.1",
  "100.64.0.1",
  "169.253.255.255",
  "169.255.0.0",
  "203.0.113.1",
  "168.63.129.17",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:10.0.0.1",
  "fc00::1",
  "fd00:ec2::253",
  "fec0::1",
  "fe7f::1",
  "2001:db8::a9fe:a9fe",
  "2606:4700::1111",
])("%s is allowed", (address) => {
  expect(refusedAddress(address)).toBeUndefined();
});
