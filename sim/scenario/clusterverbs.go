package scenario

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go4.org/netipx"

	"viplog/core/event"
	"viplog/core/lease"
	"viplog/core/ledger"
	"viplog/sim"
)

// clusterVerbs make a cluster, change what its operator wishes, and let time pass.
var clusterVerbs = []Verb{
	{
		Name: "cluster", Form: "cluster [nodes=N] [voters=N] [clients=N] [pool=CIDR] [profile=default|fast|relaxed] [isolation=hold|yield] [drift=on|off] [rules=N] [digests=N] [seed=N]",
		Says: "The first verb: nodes lb-1…, voters' hosts cp-1…, clients client-1…; by default 3, 3, 1, 192.0.2.0/28, default, hold, on, 1; all programs know rules up to the newest, or N", Example: "cluster nodes=3 voters=3 clients=1",
		first: true, quiet: true, parse: parseCluster,
	},
	{
		Name: "replay", Form: "replay FILE [at=SEQUENCE] [clients=N] [drift=on|off] [seed=N]",
		Says: "The first verb, instead of cluster: goes on where an exported log ends, or at one of its facts; hosts have the log's names", Example: "replay ../../logs/rules-1.jsonl at=120",
		first: true, quiet: true, parse: parseReplay,
	},
	{
		Name: "service", Form: "service NS/NAME [address=ADDRESS] [ports=PORT,…] [source=SOURCE]", Says: "Applies a Service; without an address the pool's first free one is its; one of the source kubernetes has a status, which clients wait for", Example: "service shop/web address=192.0.2.1",
		quiet: true, parse: parseService,
	},
	{
		Name: "delete service", Form: "delete service NS/NAME", Says: "Deletes it", Example: "at 20s delete service shop/web",
		parse: func(a *args, _ line) action {
			namespace, name := a.service()
			return func(r *run) {
				source := "sim"
				if spec, is := r.world.Ledger().ServiceSpec(ledger.ServiceKey{Namespace: namespace, Name: name}); is {
					source = spec.Source
				}
				r.world.Append(event.ServiceDeleted{Namespace: namespace, Name: name, Source: source})
			}
		},
	},
	{
		Name: "settle", Form: "settle", Says: "Runs until all is at rest, at most 60 s; from then on clients ask each address every 5 ms", Example: "settle",
		quiet: true, parse: func(*args, line) action {
			return func(r *run) {
				r.settle(settlePatience)
				r.pollAll()
			}
		},
	},
	{
		Name: "run", Form: "run D", Says: "Lets time pass", Example: "run 30s",
		quiet: true, parse: func(a *args, _ line) action {
			d := a.duration("D")
			return func(r *run) { r.advance(r.world.Now() + d) }
		},
	},
	{
		Name: "drain", Form: "drain HOST", Says: "The operator drains a node: its addresses move, one hand-over each", Example: "at 10s drain lb-1",
		parse: operator(func(h *sim.Host) event.Event { return event.NodeDrained{Address: h.Address} }),
	},
	{
		Name: "undrain", Form: "undrain HOST", Says: "Ends a drain", Example: "at 20s undrain lb-1",
		parse: operator(func(h *sim.Host) event.Event { return event.NodeUndrained{Address: h.Address} }),
	},
	{
		Name: "rebalance", Form: "rebalance", Says: "The operator evens out the nodes' loads", Example: "at 30s rebalance",
		parse: func(*args, line) action {
			return func(r *run) { r.world.Append(event.RebalanceRequested{Reason: event.RebalanceByOperator}) }
		},
	},
}

func operator(fact func(*sim.Host) event.Event) func(*args, line) action {
	return func(a *args, _ line) action {
		name := a.host(aNode)
		return func(r *run) { r.world.Append(fact(r.world.Host(name))) }
	}
}

// Bounds of a cluster's size: those of rulings, and what a script can be read with.
const (
	maxNodes, maxVoters, maxClients = 128, 7, 16
	defaultPool                     = "192.0.2.0/28"
)

func parseCluster(a *args, _ line) action {
	given := a.options("nodes", "voters", "clients", "pool", "profile", "isolation", "drift", "rules", "digests", "seed")
	s := a.parser.scenario
	a.seed(given)
	text, ok := given["pool"]
	if !ok {
		text = defaultPool
	}
	pool, err := netip.ParsePrefix(text)
	if err != nil || !pool.Addr().Is4() || pool != pool.Masked() {
		a.fail("pool %q: an IPv4 network is required, like %s", text, defaultPool)
	}
	s.Options = sim.Options{
		Nodes:   a.limited(given, "nodes", 3, 1, maxNodes),
		Voters:  a.limited(given, "voters", 3, 1, maxVoters),
		Clients: a.limited(given, "clients", 1, 0, maxClients),
		Pool:    text,
		Timing:  lease.TimingOf(a.oneOf(given, "profile", event.ProfileDefault, event.ProfileFast, event.ProfileRelaxed)),
		Yield:   a.oneOf(given, "isolation", "hold", "yield") == "yield",
		Drift:   a.oneOf(given, "drift", "on", "off") == "on",
	}
	if _, often := given["digests"]; often {
		s.Options.Digests = uint64(a.limited(given, "digests", 1, 1, lease.DigestEvery))
	}
	if _, old := given["rules"]; old {
		rules := uint64(a.limited(given, "rules", 0, 0, ledger.RulesKnown))
		s.Options.Rules = &rules
	}
	if a.err == nil {
		a.parser.inPools, a.parser.example, a.parser.hosts = pool.Contains, pool.Addr(), s.Options.Defaults().Hosts
	}
	return nil
}

// seed takes the seed from options.
func (a *args) seed(given map[string]string) {
	a.parser.scenario.Seed = 1
	if text, ok := given["seed"]; ok {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			a.fail("seed %q: a number is required", text)
		}
		a.parser.scenario.Seed = seed
	}
}

func parseReplay(a *args, _ line) action {
	file := a.word("FILE")
	given := a.options("at", "clients", "drift", "seed")
	a.seed(given)
	if a.err == nil && a.parser.logs == nil {
		a.fail("no log can be read here")
	}
	if a.err != nil {
		return nil
	}
	path := file
	if !filepath.IsAbs(file) {
		path = filepath.Join(filepath.Dir(a.parser.scenario.Path), file)
	}
	id, entries, err := a.parser.logs(path)
	if err != nil {
		a.fail("%w", err)
		return nil
	}
	if at := a.limited(given, "at", len(entries), 1, len(entries)); a.err == nil {
		entries = entries[:at]
	}
	past, err := sim.NewPast(id, entries)
	if err != nil {
		a.fail("%s: %w", file, err)
		return nil
	}
	a.parser.scenario.goOn(a.parser, past)
	a.parser.scenario.Options.Clients = a.limited(given, "clients", 1, 0, maxClients)
	a.parser.scenario.Options.Drift = a.oneOf(given, "drift", "on", "off") == "on"
	return nil
}

// goOn makes a scenario one that goes on from a past.
func (s *Scenario) goOn(p *parser, past *sim.Past) {
	s.Options = sim.Options{Past: past, Timing: past.Timing()}
	s.Options = s.Options.Defaults()
	p.hosts = s.Options.Hosts
	var ranges []netipx.IPRange
	for _, pool := range past.Ledger.PoolViews() {
		for _, text := range pool.Addresses {
			if r, err := event.ParseRange(text); err == nil {
				ranges = append(ranges, r)
				p.example = r.From()
			}
		}
	}
	p.inPools = func(addr netip.Addr) bool {
		return slices.ContainsFunc(ranges, func(r netipx.IPRange) bool { return r.Contains(addr) })
	}
}

// service takes NS/NAME.
func (a *args) service() (namespace, name string) {
	text := a.word("NS/NAME")
	namespace, name, ok := strings.Cut(text, "/")
	if a.err == nil && (!ok || namespace == "" || name == "") {
		a.fail("Service %q: NS/NAME is required, like shop/web", text)
	}
	return namespace, name
}

func parseService(a *args, _ line) action {
	namespace, name := a.service()
	given := a.options("address", "ports", "source")
	service := sim.Service(name)
	service.Namespace, service.UID = namespace, namespace+"/"+name
	if text, ok := given["address"]; ok {
		service.RequestedAddresses = []netip.Addr{a.addressOf("address", text)}
	}
	if source, ok := given["source"]; ok {
		service.Source = source
	}
	if text, ok := given["ports"]; ok {
		service.Ports = nil
		for port := range strings.SplitSeq(text, ",") {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil || n == 0 {
				a.fail("ports %q: numbers from 1 to 65535 are required, like 80,443", text)
			}
			service.Ports = append(service.Ports, event.Port{Protocol: "TCP", Port: uint16(n)})
		}
		slices.SortFunc(service.Ports, func(a, b event.Port) int { return int(a.Port) - int(b.Port) })
	}
	if _, err := event.Encode(service); a.err == nil && err != nil {
		a.fail("%w", err)
	}
	return func(r *run) { r.world.Append(service) }
}
