package scenario

import (
	"fmt"
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
		Name: "heal", Form: "heal [HOST…|HOST from HOST,…|voters|nodes|log|all]", Says: "Ends all cuts, losses, splits and troubles of the log; with names, cuts and links of those hosts alone; with from, the cuts between these two ways", Example: "at 40s heal",
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
		Name: "foreign", Form: "foreign NAME uses|leaves ADDRESS", Says: "A host that is not ours announces an address and answers for it, or no longer", Example: "at 10s foreign printer uses 192.0.2.0",
		parse: func(a *args, _ line) action {
			name := a.word("NAME")
			if slices.Contains(append(a.parser.names(anyHost), a.parser.clients()...), name) {
				a.fail("%s is one of ours; a foreign host has a name of its own", name)
			}
			uses := a.literal("uses", "leaves") == "uses"
			addr := a.address()
			if !uses {
				return func(r *run) { r.foreignLeaves(name, addr) }
			}
			if !slices.Contains(a.parser.foreign, name) {
				a.parser.foreign = append(a.parser.foreign, name)
			}
			return func(r *run) { r.foreign(name, addr) }
		},
	},
}

// others are whom a host is cut from.
type others struct {
	hosts    []string
	log, all bool
}

// others takes HOST,…|voters|nodes|log|all of a host.
func (a *args) others(name string) (o others) {
	for other := range strings.SplitSeq(a.word("from whom"), ",") {
		switch other {
		case "voters":
			o.hosts = append(o.hosts, a.parser.names(aVoter)...)
		case "nodes":
			o.hosts = append(o.hosts, a.parser.names(aNode)...)
		case "log":
			o.log = true
		case "all":
			o.all = true
		default:
			o.hosts = append(o.hosts, a.hostOf(anyHost, other))
		}
	}
	if o.hosts = slices.DeleteFunc(o.hosts, func(other string) bool { return other == name }); len(o.hosts) == 0 && !o.log && !o.all {
		a.fail("%s cannot be cut from itself", name)
	}
	return o
}

func parseCut(a *args, _ line) action {
	name := a.host(anyHost)
	both := a.literal("from", "to") == "from"
	from := a.others(name)
	if !both && (from.log || from.all) {
		a.fail("a cut to log or all is both ways; write: cut %s from …", name)
	}
	return func(r *run) {
		w, h := r.world, r.world.Host(name)
		if from.all {
			w.Isolate(h)
			return
		}
		for _, other := range from.hosts {
			w.Cut(h, w.Host(other))
			if both {
				w.Cut(w.Host(other), h)
			}
		}
		if from.log {
			w.CutLog(h)
		}
	}
}

func parseHeal(a *args, _ line) action {
	var names []string
	for a.err == nil && len(a.words) > 0 {
		if len(names) == 1 && a.words[0] == "from" {
			a.word("from")
			from := a.others(names[0])
			return func(r *run) { r.mend(names[0], from) }
		}
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

// mend ends the cuts between a host and others, both ways.
func (r *run) mend(name string, from others) {
	w, h := r.world, r.world.Host(name)
	if from.all {
		w.Rejoin(h)
		return
	}
	for _, other := range from.hosts {
		w.Mend(h, w.Host(other))
		w.Mend(w.Host(other), h)
	}
	if from.log {
		w.Tell(name, trace.Note{Kind: trace.Heal, Text: "reaches the log"})
		w.MendLog(h)
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
