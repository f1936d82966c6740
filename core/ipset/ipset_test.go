package ipset

import (
	"fmt"
	"net/netip"
	"testing"

	"go4.org/netipx"
)

func TestCountIsExactForAnyMixOfFamilies(t *testing.T) {
	for _, test := range []struct {
		prefixes []string
		want     string
	}{
		{nil, "0"},
		{[]string{"10.0.0.7/32"}, "1"},
		{[]string{"fd00::/64", "10.0.0.0/24"}, "18446744073709551872"},
		{[]string{"10.0.0.0/24", "fd00::/64"}, "18446744073709551872"},
		{[]string{"fd00::/64", "10.0.0.0/24", "10.0.0.0/25"}, "18446744073709551872"},
		{[]string{"0.0.0.0/0"}, "4294967296"},
		{[]string{"::/0"}, "340282366920938463463374607431768211456"},
		{[]string{"::/0", "0.0.0.0/0"}, "340282366920938463463374607436063178752"},
	} {
		t.Run(fmt.Sprint(test.prefixes), func(t *testing.T) {
			set := New()
			for _, p := range test.prefixes {
				set.AddRange(netipx.RangeOfPrefix(netip.MustParsePrefix(p)))
			}
			if got := set.Count().String(); got != test.want {
				t.Errorf("count %s, want %s", got, test.want)
			}
		})
	}
}

func TestLowestComesBackAfterRelease(t *testing.T) {
	set := New()
	set.AddRange(netipx.RangeOfPrefix(netip.MustParsePrefix("fd00::/64")))
	first, _ := set.Lowest()
	for range 1000 {
		a, _ := set.Lowest()
		set.Take(a)
	}
	if set.Spans() != 1 {
		t.Errorf("%d spans after taking the lowest 1000 of a /64, want 1", set.Spans())
	}
	set.Release(first)
	if again, _ := set.Lowest(); again != first {
		t.Errorf("lowest %s, want the released %s", again, first)
	}
}

func BenchmarkTakeLowestAndRelease(b *testing.B) {
	for _, prefix := range []string{"10.0.0.0/12", "fd00::/64"} {
		b.Run(prefix, func(b *testing.B) {
			set := New()
			set.AddRange(netipx.RangeOfPrefix(netip.MustParsePrefix(prefix)))
			a, _ := set.Lowest()
			for i := range 1_000_000 { // leave 500,000 holes
				if i%2 == 0 {
					set.Take(a)
				}
				a = a.Next()
			}
			b.ReportAllocs()
			for b.Loop() {
				lowest, _ := set.Lowest()
				set.Take(lowest)
				set.Release(lowest)
			}
		})
	}
}
