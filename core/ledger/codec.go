package ledger

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"viplog/core/event"
)

// codec writes or reads the canonical encoding. One method describes each record for both directions, so that they
// cannot differ. Numbers are unsigned varints; texts and lists carry their length. Reading checks every bound and
// keeps the first error. Writing leaves what it describes alone: clones share it, and are encoded beside each other.
type codec struct {
	data    []byte // written so far, or still to be read
	reading bool
	err     error
}

var errDamaged = errors.New("ledger: the snapshot is damaged")

func (c *codec) number(v *uint64) {
	if !c.reading {
		c.data = binary.AppendUvarint(c.data, *v)
		return
	}
	n, size := binary.Uvarint(c.data)
	if size <= 0 {
		c.fail()
		return
	}
	*v, c.data = n, c.data[size:]
}

func (c *codec) fail() {
	if c.err == nil {
		c.err = errDamaged
	}
	c.data = nil
}

// code handles any type whose value fits a uint64.
func code[T ~int | ~int64 | ~uint64 | ~uint16](c *codec, v *T) {
	n := uint64(*v)
	if c.number(&n); c.reading {
		*v = T(n)
	}
}

func (c *codec) flag(v *bool) {
	var n uint64
	if *v {
		n = 1
	}
	if c.number(&n); !c.reading {
		return
	}
	if n > 1 {
		c.fail()
	}
	*v = n == 1
}

// take reads the next n bytes.
func (c *codec) take(n uint64) []byte {
	if n > uint64(len(c.data)) {
		c.fail()
		return nil
	}
	taken := c.data[:n]
	c.data = c.data[n:]
	return taken
}

func (c *codec) text(v *string) {
	n := uint64(len(*v))
	c.number(&n)
	if c.reading {
		*v = string(c.take(n))
	} else {
		c.data = append(c.data, *v...)
	}
}

func (c *codec) bytes(v *[]byte) {
	text := string(*v)
	c.text(&text)
	if c.reading && text != "" {
		*v = []byte(text)
	}
}

func (c *codec) addr(v *netip.Addr) {
	raw := v.AsSlice()
	c.bytes(&raw)
	if c.reading && len(raw) > 0 {
		a, ok := netip.AddrFromSlice(raw)
		if !ok || a.Is4In6() {
			c.fail()
		}
		*v = a
	}
}

func (c *codec) prefix(v *netip.Prefix) {
	a, length := v.Addr(), uint64(max(v.Bits(), 0))
	c.addr(&a)
	c.number(&length)
	if c.reading {
		*v = netip.PrefixFrom(a, int(min(length, 255)))
		if !v.IsValid() {
			c.fail()
		}
	}
}

func (c *codec) incarnation(m *Incarnation) {
	c.addr(&m.Node)
	c.number(&m.Join)
}

// list handles a list of records. An empty list reads as nil: encodings do not tell them apart.
func list[T any](c *codec, v *[]T, each func(*codec, *T)) {
	n := uint64(len(*v))
	c.number(&n)
	if !c.reading {
		for i := range *v {
			each(c, &(*v)[i])
		}
		return
	}
	*v = nil
	for ; n > 0 && c.err == nil; n-- {
		var item T
		each(c, &item)
		*v = append(*v, item)
	}
}

func texts(c *codec, v *[]string) { list(c, v, (*codec).text) }

func addrs(c *codec, v *[]netip.Addr) { list(c, v, (*codec).addr) }

// fact embeds a fact that the state keeps whole, in its canonical JSON: these are few and large. Services, which are
// many, have a record of their own.
// optional is a fact that there may be none of.
func optional[E event.Event](c *codec, v **E) {
	is := *v != nil
	c.flag(&is)
	if is {
		if *v == nil {
			*v = new(E)
		}
		fact(c, *v)
	}
}

func fact[E event.Event](c *codec, v *E) {
	var r event.Record
	if !c.reading {
		var err error
		if r, err = event.Encode(*v); err != nil {
			panic("ledger: a fact that was folded encodes: " + err.Error())
		}
	}
	c.text(&r.Type)
	c.text(&r.Entity)
	c.bytes(&r.Data)
	if !c.reading || c.err != nil {
		return
	}
	decoded, err := event.Decode(r)
	if err != nil {
		c.fail()
		return
	}
	e, ok := decoded.(E)
	if !ok {
		c.fail()
		return
	}
	*v = e
}
