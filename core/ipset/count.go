package ipset

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"
	"net/netip"
	"strings"

	"go4.org/netipx"
)

// Count is an exact number of addresses: up to all of IPv6 and IPv4 together, which is more than 128 bits hold.
type Count struct{ high, mid, low uint64 }

// CountOf counts a valid range.
func CountOf(r netipx.IPRange) Count {
	from, to := words(r.From()), words(r.To())
	return to.Minus(from).Plus(Count{low: 1})
}

func words(a netip.Addr) Count {
	b := a.As16()
	return Count{mid: binary.BigEndian.Uint64(b[:8]), low: binary.BigEndian.Uint64(b[8:])}
}

// Plus adds two counts.
func (c Count) Plus(d Count) Count {
	low, carry := bits.Add64(c.low, d.low, 0)
	mid, carry := bits.Add64(c.mid, d.mid, carry)
	high, carry := bits.Add64(c.high, d.high, carry)
	if carry != 0 {
		panic("ipset: count of more addresses than there are")
	}
	return Count{high: high, mid: mid, low: low}
}

// Minus subtracts a count that is not larger.
func (c Count) Minus(d Count) Count {
	low, borrow := bits.Sub64(c.low, d.low, 0)
	mid, borrow := bits.Sub64(c.mid, d.mid, borrow)
	high, borrow := bits.Sub64(c.high, d.high, borrow)
	if borrow != 0 {
		panic("ipset: count of fewer addresses than none")
	}
	return Count{high: high, mid: mid, low: low}
}

// IsZero tells whether nothing was counted.
func (c Count) IsZero() bool { return c == Count{} }

// String is the decimal form, of any size.
func (c Count) String() string {
	const group = 1_000_000_000_000_000_000 // the largest power of ten in 64 bits
	var groups []uint64
	for c.high != 0 || c.mid != 0 || c.low >= group {
		var rest uint64
		c.high, rest = c.high/group, c.high%group
		c.mid, rest = bits.Div64(rest, c.mid, group)
		c.low, rest = bits.Div64(rest, c.low, group)
		groups = append(groups, rest)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d", c.low)
	for i := len(groups) - 1; i >= 0; i-- {
		fmt.Fprintf(&text, "%018d", groups[i])
	}
	return text.String()
}

// MarshalJSON writes a decimal string: the number may be larger than a JSON reader's.
func (c Count) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
