package scenario

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/trace"
	"viplog/sim"
	"viplog/sim/segment"
)

// linkVerbs are of what is between hosts: the network of datagrams, and the segment.
var linkVerbs = []Verb{
	{
		Name: "cut", Form: "cut HOST from|to HOST,…|voters|nodes|log|all", Says: "Loses datagrams: from both ways, to one way; log is the host's connections to the log, all is every host and the log. The segment stays", Example: "at 10s cut lb-1 from voters,log",
		parse: parseCut,
	},
	{
		Name: "heal", Form: "heal [HOST…]", Says: "Ends all cuts, losses, splits and troubles of the log; with names, cuts and links of those hosts alone", Example: "at 40s heal",
		parse: parseHeal,
	},
	{
		Name: "link down", Form: "link down HOST", Says: "Takes the carrier of a node's interface on the segment", Example: "at 10s link down lb-1",
		parse: onHost(aNode, func(r *run, h *sim.Host) string {
			return unless(h.Port().Up(), "its link is down", func() { r.world.Link(h, false) })
		}),
	},
	{
		Name: "link up", Form: "link up HOST", Says: "Gives it back", Example: "at 20s link up lb-1",
		parse: onHost(aNode, func(r *run, h *sim.Host) string {
			return unless(h.Up() && !h.Port().Up(), "its link is up or it has no power", func() { r.world.Link(h, true) })
		}),
	},
	{
		Name: "lose", Form: "lose frames|datagrams one-in=N", Says: "Loses one in N by chance: frames on the segment, or datagrams between hosts; 0 ends it", Example: "at 10s lose frames one-in=3",
		parse: func(a *args, _ line) action {
			what := a.literal("frames", "datagrams")
			text, ok := a.options("one-in")["one-in"]
			if !ok {
				a.fail("one-in=N is missing; write: %s", a.form)
			}
			n := a.countOf("one-in", text)
			return func(r *run) {
				if what == "datagrams" {
					r.world.LoseDatagrams(n)
					return
				}
				r.world.Tell("segment", trace.Note{Kind: trace.Fault, Text: fmt.Sprintf("loses one frame in %d", n)})
				r.world.Segment.LoseOneIn(n)
			}
		},
	},
	{
		Name: "double", Form: "double datagrams one-in=N", Says: "One in N datagrams between hosts arrives twice, by chance; 0 ends it", Example: "at 10s double datagrams one-in=5",
		parse: func(a *args, _ line) action {
			a.literal("datagrams")
			text, ok := a.options("one-in")["one-in"]
			if !ok {
				a.fail("one-in=N is missing; write: %s", a.form)
			}
			n := a.countOf("one-in", text)
			return func(r *run) { r.world.DoubleDatagrams(n) }
		},
	},
	{
		Name: "slow link", Form: "slow link HOST to HOST D", Says: "What one host sends to the other takes that much longer, until a heal or 0s", Example: "at 10s slow link cp-1 to lb-1 300ms",
		parse: func(a *args, _ line) action {
			from := a.host(anyHost)
			a.literal("to")
			to, d := a.host(anyHost), a.duration("D")
			return func(r *run) { r.world.Slow(r.world.Host(from), r.world.Host(to), d) }
		},
	},
	{
		Name: "stall frames", Form: "stall frames HOST D", Says: "What the node's agent sends on the segment leaves it that much later, as if it was stopped between its last look at the clock and the wire", Example: "at 10s stall frames lb-1 2s",
		parse: forAWhile(aNode, func(r *run, h *sim.Host, d time.Duration) string {
			r.world.StallFrames(h, d)
			return ""
		}),
	},
	{
		Name: "drop frames", Form: "drop frames HOST sent|received|both|none", Says: "The node's link loses frames, with its carrier on", Example: "at 10s drop frames lb-1 received",
		parse: func(a *args, _ line) action {
			name := a.host(aNode)
			which := map[string]segment.Direction{"sent": segment.Sent, "received": segment.Received, "both": segment.Both}[a.literal("sent", "received", "both", "none")]
			return func(r *run) { r.world.CutFrames(r.world.Host(name), which) }
		},
	},
	{
		Name: "split", Form: "split NAME,… | NAME,…", Says: "Parts the segment: nodes, clients and foreign hosts of a group reach each other alone, and so do those that are not named", Example: "at 10s split lb-1 | lb-2,lb-3,client-1",
		parse: parseSplit,
	},
	{
		Name: "foreign", Form: "foreign NAME uses ADDRESS", Says: "A host that is not ours announces an address and answers for it", Example: "at 10s foreign printer uses 192.0.2.0",
		parse: func(a *args, _ line) action {
			name := a.word("NAME")
			if slices.Contains(append(a.parser.names(anyHost), a.parser.clients()...), name) {
				a.fail("%s is one of ours; a foreign host has a name of its own", name)
			}
			a.literal("uses")
			addr := a.address()
			if !slices.Contains(a.parser.foreign, name) {
				a.parser.foreign = append(a.parser.foreign, name)
			}
			return func(r *run) { r.foreign(name, addr) }
		},
	},
}

func parseCut(a *args, _ line) action {
	name := a.host(anyHost)
	both := a.literal("from", "to") == "from"
	var others []string
	log, all := false, false
	for other := range strings.SplitSeq(a.word("from whom"), ",") {
		switch other {
		case "voters":
			others = append(others, a.parser.names(aVoter)...)
		case "nodes":
			others = append(others, a.parser.names(aNode)...)
		case "log":
			log = true
		case "all":
			all = true
		default:
			others = append(others, a.hostOf(anyHost, other))
		}
	}
	if !both && (log || all) {
		a.fail("a cut to log or all is both ways; write: cut %s from …", name)
	}
	if others = slices.DeleteFunc(others, func(other string) bool { return other == name }); len(others) == 0 && !log && !all {
		a.fail("%s cannot be cut from itself", name)
	}
	return func(r *run) {
		w, h := r.world, r.world.Host(name)
		if all {
			w.Isolate(h)
			return
		}
		for _, other := range others {
			w.Cut(h, w.Host(other))
			if both {
				w.Cut(w.Host(other), h)
			}
		}
		if log {
			w.CutLog(h)
		}
	}
}

func parseHeal(a *args, _ line) action {
	var names []string
	for a.err == nil && len(a.words) > 0 {
		names = append(names, a.host(anyHost))
	}
	return func(r *run) {
		if names == nil {
			r.world.Heal()
		}
		for _, name := range names {
			h := r.world.Host(name)
			r.world.Rejoin(h)
			if port := h.Port(); port != nil && h.Up() && !port.Up() {
				r.world.Link(h, true)
			}
		}
	}
}

func parseSplit(a *args, l line) action {
	groups := [][]string{nil}
	known := slices.Concat(a.parser.names(aNode), a.parser.clients(), a.parser.foreign)
	for a.err == nil && len(a.words) > 0 {
		word := a.word("NAME")
		if word == "|" {
			groups = append(groups, nil)
			continue
		}
		for name := range strings.SplitSeq(word, ",") {
			if !slices.Contains(known, name) {
				a.fail("%q is not on the segment; %s", name, unknown(name, known))
			}
			if slices.ContainsFunc(groups, func(g []string) bool { return slices.Contains(g, name) }) {
				a.fail("%s is there twice", name)
			}
			groups[len(groups)-1] = append(groups[len(groups)-1], name)
		}
	}
	if slices.ContainsFunc(groups, func(g []string) bool { return len(g) == 0 }) {
		a.fail("a group is empty; write: %s", a.form)
	}
	return func(r *run) {
		var ports [][]*segment.Port
		for _, group := range groups {
			var all []*segment.Port
			for _, name := range group {
				if p := r.port(name); p != nil {
					all = append(all, p)
				}
			}
			ports = append(ports, all)
		}
		r.world.Tell("segment", trace.Note{Kind: trace.Fault, Text: strings.TrimPrefix(l.text[strings.Index(l.text, "split"):], "split ") + ": is split"})
		r.world.Segment.Split(ports...)
	}
}

// port finds a port of the segment by its name; nil for a foreign host that is not there yet.
func (r *run) port(name string) *segment.Port {
	if h := r.world.Host(name); h != nil {
		return h.Port()
	}
	for _, c := range r.world.Clients {
		if c.Port().Name == name {
			return c.Port()
		}
	}
	for _, f := range r.foreigners {
		if f.Port().Name == name {
			return f.Port()
		}
	}
	return nil
}

// foreign lets a foreign host use one address more.
func (r *run) foreign(name string, addr netip.Addr) {
	r.world.Tell(name, trace.Note{Kind: trace.Fault, Address: addr, Text: "a foreign host uses it"})
	i := slices.IndexFunc(r.foreigners, func(f *foreigner) bool { return f.Port().Name == name })
	if i < 0 {
		i = len(r.foreigners)
		mac := segment.MAC(0x02_00_00_00_f0_00) + segment.MAC(i)
		r.foreigners = append(r.foreigners, &foreigner{segment.NewForeignHost(r.world.Segment, name, mac), nil})
	}
	f := r.foreigners[i]
	f.uses = append(f.uses, addr)
	f.Use(f.uses...)
	f.Announce()
}

// foreigner is a host that is not ours.
type foreigner struct {
	*segment.ForeignHost
	uses []netip.Addr
}
