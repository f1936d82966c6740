package clusterfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// read begins every typed reading: it wants a scalar.
func read[T any](c cursor, want string) (value[T], bool) {
	v := value[T]{place: c.place}
	if !c.exists() {
		return v, false
	}
	v.set, v.text = true, show(c.node)
	if c.node.kind != scalarNode {
		c.report(v.bad("must be %s, not %s", want, describe(c.node)))
		return v, false
	}
	return v, true
}

// str reads text. A number or true must be quoted to be text, as everywhere in Kubernetes.
func (c cursor) str() value[string] {
	v, isScalar := read[string](c, "a string")
	if !isScalar {
		return v
	}
	switch c.node.tag {
	case "!!str", "!!timestamp":
		v.v, v.ok = c.node.text, true
	case "!!int", "!!float", "!!bool":
		c.report(v.bad("must be a string, not %s; write it in quotes", describe(c.node)))
	default:
		c.report(v.bad("must be a string, not %s", describe(c.node)))
	}
	return v
}

// parsed reads text of which parse makes a value, or says what is wrong with it.
func parsed[T any](c cursor, parse func(string) (T, error)) value[T] {
	text := c.str()
	v := value[T]{place: c.place, text: text.text, set: text.set}
	if !text.ok {
		return v
	}
	result, err := parse(text.v)
	if err != nil {
		c.report(v.bad("%v", err))
		return v
	}
	v.v, v.ok = result, true
	return v
}

// checked is parsed for text that stays text.
func (c cursor) checked(check func(string) []string) value[string] {
	return parsed(c, func(text string) (string, error) {
		if problems := check(text); len(problems) > 0 {
			return "", fmt.Errorf("%s", strings.Join(problems, "; "))
		}
		return text, nil
	})
}

// oneOf reads one of an enumeration.
func (c cursor) oneOf(values ...string) value[string] {
	v := c.str()
	if v.ok && !slices.Contains(values, v.v) {
		c.report(v.unsupported(v.v, values...))
		v.v, v.ok = "", false
	}
	return v
}

// boolean reads true or false; yes and on are text in YAML 1.2 and true in 1.1, so they are refused.
func (c cursor) boolean() value[bool] {
	v, isScalar := read[bool](c, "true or false")
	if !isScalar {
		return v
	}
	truth := strings.ToLower(c.node.text)
	if c.node.tag != "!!bool" || truth != "true" && truth != "false" {
		c.report(v.bad("must be true or false, without quotes"))
		return v
	}
	v.v, v.ok = truth == "true", true
	return v
}

// integer reads a decimal number. Octal and other forms are refused because YAML 1.1 and 1.2 read them differently.
func (c cursor) integer(least, most int64) value[int64] {
	v, isScalar := read[int64](c, "a whole number")
	if !isScalar {
		return v
	}
	number, err := strconv.ParseInt(c.node.text, 10, 64)
	switch {
	case c.node.tag == "!!str" && err == nil:
		c.report(v.bad("must be a number, not a string; write it without quotes"))
	case c.node.tag != "!!int":
		c.report(v.bad("must be a whole number from %d to %d", least, most))
	case strconv.FormatInt(number, 10) != c.node.text || number < least || number > most:
		c.report(v.bad("must be a decimal number from %d to %d", least, most))
	default:
		v.v, v.ok = number, true
	}
	return v
}

func (c cursor) ipv4() value[netip.Addr] { return parsed(c, parseIPv4) }

func parseIPv4(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return netip.Addr{}, fmt.Errorf("must be an IPv4 address like 10.200.0.5")
	case addr.Is4In6():
		return netip.Addr{}, fmt.Errorf("is IPv4 in IPv6 form; write %s", addr.Unmap().WithZone(""))
	case !addr.Is4():
		return netip.Addr{}, fmt.Errorf("must be an IPv4 address; only addressPools, CIDR blocks and subnets may be IPv6")
	case addr.IsUnspecified() || addr.IsMulticast() || addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return netip.Addr{}, fmt.Errorf("must be the address of one host")
	}
	return addr, nil
}

// prefix reads a network. Host bits are refused: whether the network or the host was meant is not ours to guess.
func (c cursor) prefix() value[netip.Prefix] { return parsed(c, parsePrefix) }

func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("must be a CIDR like 10.96.0.0/20")
	case prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("is IPv4 in IPv6 form; write it as IPv4")
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("has host bits set; write %s", prefix.Masked())
	}
	return prefix, nil
}
