package scenario

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// watchVerbs look.
var watchVerbs = []Verb{
	{
		Name: "poll", Form: "poll ADDRESS [every=D]", Says: "Clients ask an address from now on, by default every 5 ms", Example: "poll 192.0.2.0 every=1ms",
		quiet: true, parse: func(a *args, _ line) action {
			addr := a.address()
			every := defaultPoll
			if text, ok := a.options("every")["every"]; ok {
				if every = a.durationOf("every", text); a.err == nil && every < time.Millisecond {
					a.fail("every=%s: at least 1ms is required", text)
				}
			}
			return func(r *run) { r.poll(addr, every) }
		},
	},
	{
		Name: "converge", Form: "converge within=D", Says: "Runs until all is at rest; violated if that takes longer", Example: "converge within=20s",
		parse: func(a *args, _ line) action {
			text, ok := a.options("within")["within"]
			if !ok {
				a.fail("within=D is missing; write: %s", a.form)
			}
			within := a.durationOf("within", text)
			return func(r *run) { r.settle(within) }
		},
	},
	{
		Name: "expect owner", Form: "expect owner ADDRESS HOST|nobody", Says: "By the facts stored so far the address is this node's", Example: "at 12s expect owner 192.0.2.0 lb-2",
		quiet: true, parse: func(a *args, _ line) action {
			addr, want := a.address(), a.ownerOf(a.word("HOST"))
			return func(r *run) {
				if got := r.owner(addr); got != want {
					r.violated("%s belongs to %s, not to %s", addr, got, want)
				}
			}
		},
	},
	{
		Name: "expect announce", Form: "expect announce ADDRESS HOST", Says: "The node answers for the address, whoever else may", Example: "at 12s expect announce 192.0.2.0 lb-2",
		quiet: true, parse: func(a *args, _ line) action {
			addr, name := a.address(), a.host(aNode)
			return func(r *run) {
				if !slices.Contains(r.world.Host(name).Announces(), addr) {
					r.violated("%s does not answer for %s", name, addr)
				}
			}
		},
	},
	{
		Name: "expect address", Form: "expect address NS/NAME ADDRESS|nothing", Says: "By the facts stored so far the Service has this address, or waits for one", Example: "at 12s expect address shop/web nothing",
		quiet: true, parse: func(a *args, _ line) action {
			namespace, name := a.service()
			want := a.word("ADDRESS")
			if want != nothing {
				want = a.addressOf("ADDRESS", want).String()
			}
			return func(r *run) {
				got, why := nothing, "there is no such Service"
				for _, v := range r.world.Ledger().ServiceViews() {
					if v.Namespace == namespace && v.Name == name {
						if why = v.Reason; len(v.Addresses) > 0 {
							got = v.Addresses[0]
						}
					}
				}
				if got != want {
					r.violated("%s/%s has %s, not %s (%s)", namespace, name, got, want, why)
				}
			}
		},
	},
	{
		Name: "expect digest", Form: "expect digest HEX", Says: "The facts stored so far add up to a ledger whose digest begins so", Example: "expect digest 3f2c1e0a",
		quiet: true, parse: func(a *args, _ line) action {
			want := a.word("HEX")
			return func(r *run) {
				if got := r.world.Ledger().Digest().String(); !strings.HasPrefix(got, want) {
					r.violated("it is %s", got)
				}
			}
		},
	},
	{
		Name: "expect rules", Form: "expect rules N", Says: "The ledger holds the rules of this number", Example: "at 40s expect rules 1",
		quiet: true, parse: func(a *args, _ line) action {
			want := a.countOf("N", a.word("N"))
			return func(r *run) {
				if got := r.world.Ledger().Rules(); got != uint64(want) {
					r.violated("it holds rules %d", got)
				}
			}
		},
	},
	{
		Name: "expect leased", Form: "expect leased HOST", Says: "The node holds its lease", Example: "at 10200ms expect leased lb-1",
		parse: expectLease(true),
	},
	{
		Name: "expect not-leased", Form: "expect not-leased HOST", Says: "The node holds no lease", Example: "at 12s expect not-leased lb-1",
		parse: expectLease(false),
	},
	{
		Name: "expect voters", Form: "expect voters HOST,…", Says: "By the facts stored so far these hosts have the voters of the set in force, and no other has one of them", Example: "at 30s expect voters cp-1,cp-2",
		quiet: true, parse: func(a *args, _ line) action {
			var want []string
			for name := range strings.SplitSeq(a.word("HOST"), ",") {
				want = append(want, a.hostOf(anyHost, name))
			}
			slices.Sort(want)
			return func(r *run) {
				if got := r.world.Voters(); !slices.Equal(got, want) {
					r.violated("voters are on %s", strings.Join(got, ","))
				}
			}
		},
	},
	{
		Name: "expect silent", Form: "expect silent HOST", Says: "The node answers for no address", Example: "at 12s expect silent lb-1",
		quiet: true, parse: func(a *args, _ line) action {
			name := a.host(aNode)
			return func(r *run) {
				if all := r.world.Host(name).Announces(); len(all) > 0 {
					r.violated("%s answers for %s", name, all[0])
				}
			}
		},
	},
}

func expectLease(want bool) func(*args, line) action {
	return func(a *args, _ line) action {
		name := a.host(aNode)
		return func(r *run) {
			switch got := r.world.Host(name).Leased(); {
			case want && !got:
				r.violated("%s holds no lease", name)
			case got && !want:
				r.violated("%s holds a lease", name)
			}
		}
	}
}

const (
	nobody  = "nobody"
	nothing = "nothing"
)

// ownerOf reads a node's name, or nobody.
func (a *args) ownerOf(name string) string {
	if name == nobody {
		return name
	}
	return a.hostOf(aNode, name)
}

func (r *run) owner(addr netip.Addr) string {
	if h := r.world.Owner(addr); h != nil {
		return h.Name
	}
	return nobody
}
