package lease

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
)

// Canon writes states of machines such that two that behave alike from here on have the same bytes: instants count from
// now and not beyond where they matter, numbers that only compare with each other are ranks, and what nothing refers to any more
// is left out. What describes a world must write the same when it is called again with the same machines and messages.
//
// A rank is known when all numbers are. So a description is written with holes that ranks fill, or, if it asks for what was
// ranked, written again. A Canon may be used again, which saves its memory.
type Canon struct {
	bytes     []byte
	holes     []hole
	sequences []uint64 // a bit for each number of the log's space that was ranked
	spaces    []space  // the others, by what compares
	writing   bool     // for the second time
	again     bool     // it asks for what was ranked
	filled    []byte
	recorder  *Canon
}

// hole is where a rank among sequences or another space goes.
type hole struct {
	at     int // of bytes
	number uint64
	space  int // -1: sequences
}

type space struct {
	name    string
	numbers []uint64 // sorted
}

// Encode runs a description of a whole world and gives its canonical bytes. They are good until it is called again.
func (c *Canon) Encode(describe func(*Canon)) []byte {
	c.reset()
	describe(c)
	if !c.again {
		return c.fill()
	}
	c.writing, c.bytes = true, c.bytes[:0]
	describe(c)
	return c.bytes
}

func (c *Canon) reset() {
	c.bytes, c.holes, c.sequences, c.spaces = c.bytes[:0], c.holes[:0], c.sequences[:0], c.spaces[:0]
	c.writing, c.again = false, false
}

// fill writes the ranks into their holes.
func (c *Canon) fill() []byte {
	c.filled = c.filled[:0]
	from := 0
	for _, h := range c.holes {
		c.filled = append(c.filled, c.bytes[from:h.at]...)
		c.filled = binary.AppendUvarint(c.filled, c.rankOf(h.space, h.number))
		from = h.at
	}
	c.filled = append(c.filled, c.bytes[from:]...)
	return c.filled
}

// rankOf is one more than how many numbers that were ranked in a space are less.
func (c *Canon) rankOf(space int, number uint64) uint64 {
	if space >= 0 {
		i, _ := slices.BinarySearch(c.spaces[space].numbers, number)
		return uint64(i) + 1
	}
	rank := 1
	for i, word := range c.sequences {
		if uint64(i) == number/64 {
			word &= 1<<(number%64) - 1
		}
		if uint64(i) <= number/64 {
			rank += bits.OnesCount64(word)
		}
	}
	return uint64(rank)
}

// spaceOf finds a space by its name, and makes it.
func (c *Canon) spaceOf(name string) int {
	for i := range c.spaces {
		if c.spaces[i].name == name {
			return i
		}
	}
	if len(c.spaces) < cap(c.spaces) { // its numbers' memory is there
		c.spaces = c.spaces[:len(c.spaces)+1]
	} else {
		c.spaces = append(c.spaces, space{})
	}
	last := &c.spaces[len(c.spaces)-1]
	last.name, last.numbers = name, last.numbers[:0]
	return len(c.spaces) - 1
}

// Rank writes a number of a space of numbers that compare with each other only; 0 is none.
func (c *Canon) Rank(space string, number uint64) {
	if number == 0 {
		c.Number(0)
		return
	}
	of := c.spaceOf(space)
	if c.writing {
		c.Number(c.rankOf(of, number))
		return
	}
	s := &c.spaces[of]
	if i, found := slices.BinarySearch(s.numbers, number); !found {
		s.numbers = slices.Insert(s.numbers, i, number)
	}
	c.holes = append(c.holes, hole{len(c.bytes), number, of})
}

// Sequence writes the place of a fact in the log. They compare with each other only; 0 is none.
func (c *Canon) Sequence(n uint64) {
	switch {
	case n == 0:
		c.Number(0)
	case c.writing:
		c.Number(c.rankOf(-1, n))
	default:
		c.see(n)
		c.holes = append(c.holes, hole{len(c.bytes), n, -1})
	}
}

func (c *Canon) see(sequence uint64) {
	for uint64(len(c.sequences)) <= sequence/64 {
		c.sequences = append(c.sequences, 0)
	}
	c.sequences[sequence/64] |= 1 << (sequence % 64)
}

// Refers tells whether a number was ranked in a space: whether anything refers to what bears it.
func (c *Canon) Refers(space string, number uint64) bool {
	c.again = true
	_, found := slices.BinarySearch(c.spaces[c.spaceOf(space)].numbers, number)
	return c.writing && found
}

// Among writes how many numbers ranked in a space are not greater.
func (c *Canon) Among(space string, number uint64) {
	c.again = true
	i, found := slices.BinarySearch(c.spaces[c.spaceOf(space)].numbers, number)
	if found {
		i++
	}
	c.Number(uint64(i))
}

// Number writes a number as it is.
func (c *Canon) Number(n uint64) { c.bytes = binary.AppendUvarint(c.bytes, n) }

// Flag writes a truth.
func (c *Canon) Flag(b bool) {
	if b {
		c.Number(1)
	} else {
		c.Number(0)
	}
}

// Text writes a text.
func (c *Canon) Text(s string) {
	c.Number(uint64(len(s)))
	c.bytes = append(c.bytes, s...)
}

// Address writes an address.
func (c *Canon) Address(a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		c.Number(4)
		c.bytes = append(c.bytes, b[:]...)
		return
	}
	c.Text(string(a.AsSlice()))
}

// Ahead writes how far an instant lies ahead; one that has passed is 0.
func (c *Canon) Ahead(i, now Instant) {
	switch {
	case i == Never:
		c.Number(1)
	case i <= now:
		c.Number(0)
	default:
		c.Number(uint64(i.Since(now)) + 2)
	}
}

// Digest writes a digest.
func (c *Canon) Digest(d Digest) {
	c.Sequence(d.Sequence)
	if d.Sequence > 0 {
		c.Text(string(d.Sum[:]))
	}
}

// Incarnation writes who it is.
func (c *Canon) Incarnation(i Incarnation) {
	c.Address(i.Node)
	c.Sequence(i.Join)
}

// Part is a description that is written once for many worlds. It ranks nothing but sequences.
type Part struct {
	bytes []byte
	holes []hole
}

// Recorded runs a part of a description by itself. It writes nothing.
func (c *Canon) Recorded(describe func(*Canon)) *Part {
	if c.recorder == nil {
		c.recorder = &Canon{}
	}
	r := c.recorder
	r.reset()
	describe(r)
	if r.again || len(r.spaces) > 0 {
		panic("lease: a recorded part ranks sequences only")
	}
	return &Part{slices.Clone(r.bytes), slices.Clone(r.holes)}
}

// Part writes what was recorded.
func (c *Canon) Part(p *Part) {
	if c.writing {
		from := 0
		for _, h := range p.holes {
			c.bytes = append(c.bytes, p.bytes[from:h.at]...)
			c.Sequence(h.number)
			from = h.at
		}
		c.bytes = append(c.bytes, p.bytes[from:]...)
		return
	}
	for _, h := range p.holes {
		c.see(h.number)
		c.holes = append(c.holes, hole{len(c.bytes) + h.at, h.number, -1})
	}
	c.bytes = append(c.bytes, p.bytes...)
}
