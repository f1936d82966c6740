package lease

import (
	"bytes"
	"net/netip"
	"testing"
)

func TestWhatOnlyComparesIsWrittenAsRanks(t *testing.T) {
	node := netip.MustParseAddr("10.0.0.1")
	world := func(a, b, serial uint64) func(*Canon) {
		return func(c *Canon) {
			c.Sequence(a)
			c.Incarnation(Incarnation{Node: node, Join: b})
			c.Rank("serial", serial)
			c.Sequence(0)
		}
	}
	like := func(a, b func(*Canon)) bool {
		return bytes.Equal(bytes.Clone(new(Canon).Encode(a)), new(Canon).Encode(b))
	}
	for _, test := range []struct {
		name string
		a, b func(*Canon)
		want bool
	}{
		{"other numbers in the same order", world(3, 64, 1), world(2, 700, 1<<40), true},
		{"another order", world(3, 64, 1), world(64, 3, 1), false},
		{"one number twice", world(3, 64, 1), world(64, 64, 1), false},
		{"none", world(3, 64, 1), world(3, 64, 0), false},
	} {
		if got := like(test.a, test.b); got != test.want {
			t.Errorf("%s: the same is %t", test.name, got)
		}
	}
}

func TestADescriptionIsTheSameHoweverItIsWritten(t *testing.T) {
	fact := func(c *Canon) {
		c.Text("fact")
		c.Sequence(70)
		c.Sequence(5)
		c.Flag(true)
	}
	whole := func(part func(*Canon), twice bool) []byte {
		c := new(Canon)
		c.Encode(func(c *Canon) { c.Rank("serial", 99) }) // what was written before leaves nothing
		return bytes.Clone(c.Encode(func(c *Canon) {
			c.Sequence(6)
			part(c)
			c.Rank("serial", 7)
			if twice {
				c.Refers("serial", 7)
			}
			part(c)
		}))
	}
	recorded := func(c *Canon) { c.Part(c.Recorded(fact)) }
	want := whole(fact, false)
	for name, got := range map[string][]byte{
		"in parts": whole(recorded, false), "written twice": whole(fact, true), "in parts, written twice": whole(recorded, true),
	} {
		if !bytes.Equal(got, want) {
			t.Errorf("%s: %x is not %x", name, got, want)
		}
	}
}
