package ipset

import (
	"fmt"
	"net/netip"
	"testing"

	"go4.org/netipx"
	"pgregory.net/rapid"
)

// model is the dumb twin: a table of every address of a small universe in both families, at the edges where
// arithmetic goes wrong (ends of the families, the border between 64-bit words).
type model struct{ in []bool }

var universe = func() []netip.Addr {
	var all []netip.Addr
	for _, start := range []string{
		"0.0.0.0", "10.0.0.250", "255.255.255.240", "::", "2001:db8::ffff:ffff:ffff:fff8",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0",
	} {
		a := netip.MustParseAddr(start)
		for range 16 {
			all = append(all, a)
			a = a.Next()
		}
	}
	return all
}()

func (m model) nextFrom(i int) (netip.Addr, bool) {
	for j := i; j < len(universe) && universe[j].BitLen() == universe[i].BitLen(); j++ {
		if m.in[j] {
			return universe[j], true
		}
	}
	return netip.Addr{}, false
}

func (m model) count() (n uint64) {
	for _, in := range m.in {
		if in {
			n++
		}
	}
	return n
}

func drawRange(t *rapid.T) (from, to int) {
	block := rapid.IntRange(0, len(universe)/16-1).Draw(t, "block") * 16
	from = rapid.IntRange(0, 15).Draw(t, "from")
	to = rapid.IntRange(from, 15).Draw(t, "to")
	return block + from, block + to
}

func TestSetBehavesAsATableOfAddresses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, table := New(), model{in: make([]bool, len(universe))}
		check := func(t *rapid.T) { requireEqual(t, set, table) }
		t.Repeat(map[string]func(*rapid.T){
			"": check,
			"take": func(t *rapid.T) {
				i := rapid.IntRange(0, len(universe)-1).Draw(t, "i")
				if set.Take(universe[i]) != table.in[i] {
					t.Fatalf("Take(%s) should be %t", universe[i], table.in[i])
				}
				table.in[i] = false
			},
			"release": func(t *rapid.T) {
				i := rapid.IntRange(0, len(universe)-1).Draw(t, "i")
				if set.Release(universe[i]) == table.in[i] {
					t.Fatalf("Release(%s) should be %t", universe[i], !table.in[i])
				}
				table.in[i] = true
			},
			"addRange": func(t *rapid.T) {
				from, to := drawRange(t)
				set.AddRange(netipx.IPRangeFrom(universe[from], universe[to]))
				for i := from; i <= to; i++ {
					table.in[i] = true
				}
			},
			"removeRange": func(t *rapid.T) {
				from, to := drawRange(t)
				set.RemoveRange(netipx.IPRangeFrom(universe[from], universe[to]))
				for i := from; i <= to; i++ {
					table.in[i] = false
				}
			},
			"countIn": func(t *rapid.T) {
				from, to := drawRange(t)
				want := model{in: table.in[from : to+1]}.count()
				if got := set.CountIn(netipx.IPRangeFrom(universe[from], universe[to])).String(); got != fmt.Sprint(want) {
					t.Fatalf("CountIn(%s to %s) = %s, want %d", universe[from], universe[to], got, want)
				}
			},
			"clone and spoil the original": func(t *rapid.T) {
				original := set
				set = set.Clone()
				original.AddRange(netipx.IPRangeFrom(universe[0], universe[15]))
				original.Take(universe[7])
			},
			"spoil a clone": func(_ *rapid.T) {
				clone := set.Clone()
				clone.RemoveRange(netipx.IPRangeFrom(universe[0], universe[47]))
				clone.Release(universe[20])
			},
		})
	})
}

func requireEqual(t *rapid.T, set *Set, table model) {
	if got, want := set.Count().String(), fmt.Sprint(table.count()); got != want {
		t.Fatalf("count %s, want %s", got, want)
	}
	for i, a := range universe {
		if set.Contains(a) != table.in[i] {
			t.Fatalf("Contains(%s) should be %t", a, table.in[i])
		}
		got, ok := set.NextFrom(a)
		want, wantOK := table.nextFrom(i)
		if ok != wantOK || ok && got != want {
			t.Fatalf("NextFrom(%s) = %v %t, want %v %t", a, got, ok, want, wantOK)
		}
	}
	var last netip.Addr
	total := Count{}
	for r := range set.Ranges() {
		if last.IsValid() && !last.Next().Less(r.From()) && last.BitLen() == r.From().BitLen() {
			t.Fatalf("span %s touches the one that ends in %s", r, last)
		}
		last, total = r.To(), total.Plus(CountOf(r))
	}
	if total != set.Count() {
		t.Fatalf("spans hold %s addresses, count says %s", total, set.Count())
	}
}
