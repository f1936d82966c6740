package probe

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestWrongOptionsAreRefused(t *testing.T) {
	for _, c := range []struct {
		name, want string
		o          Options
	}{
		{"no address", "the address of one host", Options{}},
		{"a group", "the address of one host", Options{Address: netip.MustParseAddr("224.0.0.1")}},
		{"everybody", "the address of one host", Options{Address: netip.MustParseAddr("255.255.255.255")}},
		{"spacing", "1ms or more", Options{Address: netip.MustParseAddr("10.0.0.1"), Spacing: time.Microsecond}},
		{"negative spacing", "1ms or more", Options{Address: netip.MustParseAddr("10.0.0.1"), Spacing: -time.Second}},
		{"shorter than a spacing", "at least a spacing", Options{Address: netip.MustParseAddr("10.0.0.1"), For: time.Millisecond}},
		{"too many", "at most 1000000 are right: for 16m40s", Options{Address: netip.MustParseAddr("10.0.0.1"), Spacing: time.Millisecond, For: time.Hour}},
		{"protocol", `"icmp"`, Options{Address: netip.MustParseAddr("10.0.0.1"), Protocols: []Protocol{"icmp"}}},
		{"twice", "twice", Options{Address: netip.MustParseAddr("10.0.0.1"), Protocols: []Protocol{UDP, UDP}}},
		{"cold", "cold every", Options{Address: netip.MustParseAddr("10.0.0.1"), ColdEvery: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Run(context.Background(), c.o)
			if !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
}
