package clusterfile

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"go4.org/netipx"
	"pgregory.net/rapid"
)

// drawRanges makes a cluster with pools of short ranges, close enough to overlap often.
func drawRanges(t *rapid.T) *config {
	var pool poolSpec
	pool.name.v = "pool1"
	for range rapid.IntRange(0, 12).Draw(t, "ranges") {
		from := rapid.IntRange(0, 250).Draw(t, "from")
		to := rapid.IntRange(from, min(255, from+20)).Draw(t, "to")
		r := netipx.IPRangeFrom(last(from), last(to))
		pool.addresses = append(pool.addresses, value[netipx.IPRange]{v: r, text: r.String(), set: true, ok: true})
	}
	return &config{cluster: &clusterSpec{pools: []poolSpec{pool}}}
}

func last(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) }

func TestPoolIndexFindsWhatAScanFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawRanges(t)
		a := last(rapid.IntRange(0, 255).Draw(t, "address"))
		want := slices.ContainsFunc(c.ranges(), func(r poolRange) bool { return r.v.Contains(a) })
		r, got := c.poolIndex().find(a)
		if got != want || got && !r.v.Contains(a) {
			t.Fatalf("found %v in %v: %v, want %v", a, r.v, got, want)
		}
	})
}

// TestEveryOverlapIsBlamedOnSomeRange: not each pair is named, but a file without findings has no pair that overlaps,
// and no range without an overlap is blamed.
func TestEveryOverlapIsBlamedOnSomeRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ranges := drawRanges(t).ranges()
		pairs := map[string]bool{}
		for i, a := range ranges {
			for _, b := range ranges[:i] {
				if a.v.Overlaps(b.v) {
					pairs[fmt.Sprintf("%q overlaps %s", a.text, b.describe())] = true
				}
			}
		}
		found := overlaps(ranges)
		if (len(found) == 0) != (len(pairs) == 0) {
			t.Fatalf("%d findings for %d pairs", len(found), len(pairs))
		}
		for _, f := range found {
			if text := fmt.Sprintf("%q %s", f.err.BadValue, f.err.Detail); !pairs[text] {
				t.Fatalf("%s: not a pair that overlaps", text)
			}
		}
	})
}
