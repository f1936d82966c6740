package doctor

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// Advertisements with right checksums: of VRRPv2, and of VRRPv3 with the pseudo-header and without.
const (
	second      = "2133640100017066" + "0a000064" + "0000000000000000"
	third       = "3133fe010064db72" + "0a000064"
	thirdAlone  = "3133fe010064c602" + "0a000064"
	sixth       = "31076402000a7073" + "fe800000000000000000000000000064" + "fd000000000000000000000000000064"
	sixthAlone  = "31076402000a6ea2" + "fe800000000000000000000000000064" + "fd000000000000000000000000000064"
	fromFour    = "10.0.0.1"
	groupOfFour = "224.0.0.18"
	fromSix     = "fe80::1"
	groupOfSix  = "ff02::12"
)

func TestAdvertisementsAreRead(t *testing.T) {
	for _, c := range []struct{ from, to, text, want string }{
		{fromFour, groupOfFour, second, "v2 51 100 1s [10.0.0.100]"},
		{fromFour, groupOfFour, third, "v3 51 254 1s [10.0.0.100]"},
		{fromFour, groupOfFour, thirdAlone, "v3 51 254 1s [10.0.0.100]"},
		{fromSix, groupOfSix, sixth, "v3 7 100 100ms [fe80::64 fd00::64]"},
		{fromSix, groupOfSix, sixthAlone, "checksum"},
		{"10.0.0.9", "10.0.0.1", third, "checksum"}, // sent by another one
		{fromFour, groupOfFour, "2233640100017066" + "0a000064" + "0000000000000000", "type 2"},
		{fromFour, groupOfFour, "4133640100017066" + "0a000064", "version 4"},
		{fromSix, groupOfSix, second, "version 2"},
		{fromFour, groupOfFour, "3100fe010064db72" + "0a000064", "router id 0"},
		{fromFour, groupOfFour, "3133fe000064db72", "0 addresses"},
		{fromFour, groupOfFour, "3133fe020064db72" + "0a000064", "2 addresses in 12 bytes"},
		{fromFour, groupOfFour, "3133fe01", "4 bytes"},
		{fromFour, groupOfSix, third, "12 bytes"},
	} {
		b, err := hex.DecodeString(c.text)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ParseAdvert(netip.MustParseAddr(c.from), netip.MustParseAddr(c.to), b)
		got := fmt.Sprintf("v%d %d %d %v %v", a.Version, a.RouterID, a.Priority, a.Interval, a.Addresses)
		if err != nil {
			got = err.Error()
			if !errors.Is(err, ErrAdvert) {
				t.Errorf("%s: %v", c.text, err)
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s from %s: %s; want %s", c.text, c.from, got, c.want)
		}
	}
}

func FuzzParseAdvert(f *testing.F) {
	for _, text := range []string{second, third, thirdAlone, sixth, ""} {
		b, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, strings.HasPrefix(text, "3107"))
	}
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		from, to := netip.MustParseAddr(fromFour), netip.MustParseAddr(groupOfFour)
		if six {
			from, to = netip.MustParseAddr(fromSix), netip.MustParseAddr(groupOfSix)
		}
		a, err := ParseAdvert(from, to, b)
		if err != nil {
			if !errors.Is(err, ErrAdvert) {
				t.Fatal(err)
			}
			return
		}
		if a.RouterID == 0 || len(a.Addresses) != int(b[3]) || a.Version != 2 && a.Version != 3 {
			t.Fatalf("%+v of % x", a, b)
		}
		for _, address := range a.Addresses {
			if !address.IsValid() || address.Is4() == six {
				t.Fatalf("%+v of % x", a, b)
			}
		}
		// Version 2 has one checksum, and any bit that falls over is noticed; of 8 bytes and more the last one is no version or length.
		if b[len(b)-1] ^= 1; a.Version == 2 {
			if _, err := ParseAdvert(from, to, b); err == nil {
				t.Fatalf("% x", b)
			}
		}
	})
}
