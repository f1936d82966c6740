package ledger

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/event"
)

// Explanation says why something is as it is: rule by rule, in the order in which the ledger applies them, each with the
// entities whose facts it rests on. The sequences of those facts are the log's to tell.
type Explanation struct {
	Subject string // "service shop/web"
	Summary string
	Steps   []Step
}

// Step is one rule applied.
type Step struct {
	Rule     string
	Verdict  string // yes, no, or - where it does not apply
	Detail   string
	Entities []string
}

func (e *Explanation) add(rule, verdict, detail string, entities ...string) {
	e.Steps = append(e.Steps, Step{Rule: rule, Verdict: verdict, Detail: detail, Entities: entities})
}

const (
	yes = "yes"
	no  = "no"
	na  = "-"
)

func verdict(ok bool) string {
	if ok {
		return yes
	}
	return no
}

func serviceEntity(key ServiceKey) string {
	return event.ServiceDeleted{Namespace: key.Namespace, Name: key.Name}.Entity()
}

func poolEntity(name string) string { return event.PoolRemoved{Name: name}.Entity() }

func conflictEntity(c conflict) string {
	return event.VIPConflictCleared{Node: c.node, Address: c.addr}.Entity()
}

var settingsEntity = event.SettingsChanged{}.Entity()

// ExplainService says why a Service has its addresses, or none; false if there is no such Service.
func (s *State) ExplainService(key ServiceKey) (Explanation, bool) {
	v, ok := s.service(key)
	if !ok {
		return Explanation{}, false
	}
	e := Explanation{Subject: "service " + key.String()}
	view := s.viewService(v)
	me := serviceEntity(key)
	e.add("declared", yes, fmt.Sprintf("%s, families %s, externalTrafficPolicy %s, by %s; place %d in the queue",
		v.spec.FamilyPolicy, strings.Join(v.spec.Families, " and "), v.spec.TrafficPolicy, v.spec.Source, v.created), me)
	if len(v.addresses) == 0 {
		e.Summary = "waits: " + view.Reason
		s.explainChoice(&e, v)
		return e, true
	}
	e.Summary = fmt.Sprintf("has %s, announced by %s", strings.Join(view.Addresses, " and "), orNone(view.Owner))
	for _, a := range v.addresses {
		used, _ := s.addressOf(a)
		e.add("address", yes, fmt.Sprintf("%s of pool %s; nothing but its own fact or an eviction takes it away", a, used.pool),
			me, poolEntity(used.pool))
		if len(used.users) > 1 {
			e.add("sharing", yes, fmt.Sprintf("%s is shared by %s (key %q)", a, joinKeys(used.users), v.spec.SharingKey), me)
		}
		s.explainList(&e, used)
	}
	if lacks := missing(v, v.addresses); lacks != "" {
		_, refused := s.grown(v)
		e.add("second family", no, "an "+lacks+" address is missing: "+refused.String(), me)
	}
	return e, true
}

func orNone(name string) string {
	if name == "" {
		return "nobody"
	}
	return name
}

func joinKeys(keys []ServiceKey) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.String())
	}
	return strings.Join(names, ", ")
}

// explainChoice goes through the rules by which a waiting Service would get an address.
func (s *State) explainChoice(e *Explanation, v *service) {
	me := serviceEntity(v.key)
	if len(v.spec.RequestedAddresses) > 0 {
		refused := s.unfit(v, v.spec.RequestedAddresses, false)
		if refused == nil {
			_, refused = s.completed(v, v.spec.RequestedAddresses, "")
		}
		e.add("1 requested addresses", no, refused.String(), me)
		return
	}
	e.add("1 requested addresses", na, "it requests none", me)
	if _, refused, applies := s.chooseIngress(v); applies {
		e.add("2 ingress Service", no, refused.String(), settingsEntity, event.ClusterConfigured{}.Entity())
		return
	}
	e.add("2 ingress Service", na, "the ingress Service is "+s.options.IngressService, settingsEntity)
	if len(v.spec.StatusAddresses) > 0 {
		refused := s.unfit(v, v.spec.StatusAddresses, true)
		if refused == nil {
			_, refused = s.completed(v, v.spec.StatusAddresses, "")
		}
		e.add("3 adoption from status", no, refused.String(), me)
	} else {
		e.add("3 adoption from status", na, "its status has no address", me)
	}
	e.add("4 addresses kept for its name", na, s.describeKept(v), me)
	if name := v.spec.RequestedPool; name != "" {
		p, ok := s.pool(name)
		if !ok {
			e.add("5 requested pool", no, (&refusal{kind: poolUnknown, pool: name}).String(), me)
			return
		}
		s.explainPoolFor(e, "5 requested pool", p, v)
		return
	}
	e.add("5 requested pool", na, "it requests none", me)
	for i, name := range s.poolOrder {
		p, _ := s.pool(name)
		s.explainPoolFor(e, fmt.Sprintf("6.%d pool %s", i+1, name), p, v)
	}
}

func (s *State) describeKept(v *service) string {
	n := 0
	s.kept.Ascend(cooling{keeper: v.key, until: -1 << 63}, func(c cooling) bool {
		if c.keeper != v.key {
			return false
		}
		n++
		return true
	})
	return fmt.Sprintf("%d are cooling for it", n)
}

// explainPoolFor says what one pool has for a Service.
func (s *State) explainPoolFor(e *Explanation, rule string, p *pool, v *service) {
	entities := []string{poolEntity(p.name), settingsEntity}
	free := map[string]string{}
	for _, family := range v.wants() {
		free[family] = "has no free " + family + " address"
		if !p.offers(family) {
			free[family] = "has no " + family + " addresses"
		} else if a, ok := s.lowestFree(p, family); ok {
			free[family] = "has " + a.String() + " free"
		}
	}
	var whys []string
	switch left := s.quotaLeft(p, v.key.Namespace); {
	case p.spec.ManualAssign && v.spec.RequestedPool != p.name:
		whys = append(whys, "gives addresses on request only (manualAssign)")
	case !s.admits(p, v):
		whys = append(whys, "does not serve it: namespaces or selectors do not match")
	case left == 0:
		whys = append(whys, fmt.Sprintf("namespace %s has used its quota of %d", v.key.Namespace, p.settings.QuotaPerNamespace))
	default:
		for _, family := range v.wants() {
			whys = append(whys, free[family])
		}
	}
	e.add(rule, no, strings.Join(whys, "; "), entities...)
}

// ExplainAddress says what an address is and who owns it; false if it lies in no pool and is in no use.
func (s *State) ExplainAddress(a netip.Addr) (Explanation, bool) {
	e := Explanation{Subject: "address " + a.String()}
	r, inPool := s.rangeOf(a)
	used, inUse := s.addressOf(a)
	if !inPool && !inUse {
		return Explanation{}, false
	}
	if inPool {
		e.add("pool", yes, fmt.Sprintf("it lies in %s of pool %s", r.IPRange, r.pool), poolEntity(r.pool))
	} else {
		e.add("pool", no, fmt.Sprintf("it left pool %s and lives until its users release it", used.pool), poolEntity(used.pool))
	}
	if !inUse {
		e.Summary = s.explainUnused(&e, a, r.pool)
		return e, true
	}
	owner, standbys := s.ownerAndStandbys(used)
	e.Summary = fmt.Sprintf("is used by %s; owner %s, then %s", joinKeys(used.users), orNone(owner), orNone(strings.Join(standbys, ", ")))
	for _, key := range used.users {
		e.add("user", yes, key.String(), serviceEntity(key))
	}
	if c, disputed := s.inConflict(a); disputed {
		e.add("conflict", yes, c.String()+"; it stays with its users, find that machine", conflictEntity(c))
	}
	s.explainList(&e, used)
	s.explainDataPlane(&e, used)
	return e, true
}

func (s *State) explainUnused(e *Explanation, a netip.Addr, pool string) string {
	p, _ := s.pool(pool)
	c, cools := s.coolings.Get(cooling{addr: a})
	d, disputed := s.inConflict(a)
	switch {
	case s.isReserved(a):
		e.add("reserved", yes, "it is the ingressVIP, kept for "+s.options.IngressService, settingsEntity, event.ClusterConfigured{}.Entity())
		return "is reserved"
	case p.isAvoided(a):
		e.add("avoidBuggyIPs", yes, "it ends in 0 or 255", poolEntity(pool))
		return "is avoided"
	case p.excluded.Contains(a):
		e.add("exclude", yes, "the settings exclude it", settingsEntity)
		return "is excluded"
	case disputed:
		e.add("conflict", yes, d.String()+"; nobody gets it until that is over", conflictEntity(d))
		return "is in conflict"
	case cools:
		e.add("cooling", yes, fmt.Sprintf("%s released it; it is kept for that name until %s and given to others only if nothing else is free",
			c.keeper, formatNanos(c.until)), serviceEntity(c.keeper))
		return "cools after " + c.keeper.String()
	}
	e.add("free", yes, "nobody uses it", poolEntity(pool))
	return "is free"
}

// explainDataPlane says what the log does not know: whether the owner of a new address announces it already.
func (s *State) explainDataPlane(e *Explanation, a *address) {
	if len(a.list) > 0 && s.IsUsedBy(a.addr, event.SourceKubernetes) {
		e.add("data plane", na, fmt.Sprintf("when the address was new %s or an owner before waited until its kube-proxy served it, 10 s at most; "+
			"its own log says for how long: waits, announced", s.describe(a.list[0].Node)))
	}
}

// explainList says of each node whether it may announce an address, and where it stands in its list.
func (s *State) explainList(e *Explanation, a *address) {
	places := [ListLength]string{"owner", "first standby", "second standby"}
	for i, m := range a.list {
		n, _ := s.node(m.Node)
		weight, _ := s.judge(n, s.audienceOf(a))
		detail := fmt.Sprintf("%s, incarnation %d, since fact %d; owns %d addresses", s.describe(m.Node), m.Join, a.version, s.owned(n))
		if weight > 0 {
			detail += fmt.Sprintf(", preferred by %d", weight)
		}
		e.add(places[i]+" of "+a.addr.String(), yes, detail, event.NodeLeft{Address: m.Node}.Entity())
	}
	for _, n := range s.nodes.rows {
		listed := slices.ContainsFunc(a.list, func(m Incarnation) bool { return m.Node == n.address })
		if n.role != s.announcingRole() || listed {
			continue
		}
		rule := "candidate for " + a.addr.String()
		if ok, why := s.isCandidate(n, a); ok {
			e.add(rule, yes, s.describe(n.address)+" may announce it; the list is full", event.NodeLeft{Address: n.address}.Entity())
		} else {
			e.add(rule, no, s.describe(n.address)+" "+why, event.NodeLeft{Address: n.address}.Entity())
		}
	}
}

// ExplainNode says whether a node may announce, and what it does; false if it is not declared.
func (s *State) ExplainNode(address netip.Addr) (Explanation, bool) {
	n, ok := s.node(address)
	if !ok {
		return Explanation{}, false
	}
	e := Explanation{Subject: "node " + s.describe(address)}
	me := event.NodeLeft{Address: address}.Entity()
	e.add("declared", yes, fmt.Sprintf("%s, in the pool %s", address, n.role), event.ClusterConfigured{}.Entity())
	e.add("announces", verdict(n.role == s.announcingRole()), "addresses are announced by the pool "+s.announcingRole(), event.ClusterConfigured{}.Entity())
	e.add("joined", verdict(n.status == nodeJoined), fmt.Sprintf("%s, incarnation %d", n.status, n.incarnation), me,
		event.NodeFailed{Address: address}.Entity())
	e.add("not drained", verdict(!n.drained), fmt.Sprintf("drained: %t", n.drained), event.NodeDrained{Address: address}.Entity())
	labelled := event.NodeLabelled{Address: address}.Entity()
	_, excluded := labelOf(n.labels, labelExcluded)
	e.add("not excluded", verdict(!excluded || s.options.IgnoreExcludeLabel), "label "+labelExcluded, labelled, settingsEntity)
	e.add("network available", verdict(!slices.Contains(n.conditions, conditionNetworkUnready)), "condition "+conditionNetworkUnready, labelled)
	for _, ifi := range n.interfaces {
		e.add("interface "+ifi.Name, verdict(ifi.Up), fmt.Sprint(ifi.Prefixes), me)
	}
	backs := len(s.listing(n)) - s.owned(n)
	why := s.unfitNode(n)
	e.Summary = fmt.Sprintf("owns %d addresses and backs %d", s.owned(n), backs)
	if why != "" {
		e.Summary += "; it " + why
	}
	return e, true
}

// ExplainPool says how a pool stands and whom it serves; false if there is none of that name.
func (s *State) ExplainPool(name string) (Explanation, bool) {
	p, ok := s.pool(name)
	if !ok {
		return Explanation{}, false
	}
	e := Explanation{Subject: "pool " + name}
	view := s.PoolViews()[slices.IndexFunc(s.PoolViews(), func(v PoolView) bool { return v.Name == name })]
	e.Summary = fmt.Sprintf("%s addresses: %d assigned, %d cooling, %d reserved, %s available",
		view.Capacity, view.Assigned, view.Cooling, view.Reserved, view.Available)
	e.add("ranges", yes, strings.Join(p.spec.Addresses, ", "), poolEntity(name))
	e.add("gives addresses unasked", verdict(!p.spec.ManualAssign), fmt.Sprintf("manualAssign: %t", p.spec.ManualAssign), poolEntity(name))
	e.add("order", yes, fmt.Sprintf("asked as number %d of %d (pinned: %t, priority %d)",
		slices.Index(s.poolOrder, name)+1, len(s.poolOrder), p.pinned(), p.settings.Priority), settingsEntity)
	s.uses.Ascend(usage{pool: name}, func(u usage) bool {
		if u.pool != name {
			return false
		}
		detail := fmt.Sprintf("namespace %s uses %d", u.namespace, u.count)
		if p.settings.QuotaPerNamespace > 0 {
			detail += fmt.Sprintf(" of its quota of %d", p.settings.QuotaPerNamespace)
		}
		e.add("use", yes, detail, settingsEntity)
		return true
	})
	e.add("edits", verdict(p.onEdit() != event.OnEditRefuse), "onEdit: "+p.onEdit(), settingsEntity)
	return e, true
}

// formatNanos writes a ledger time as RFC 3339 does.
func formatNanos(nanos int64) string { return time.Unix(0, nanos).UTC().Format(time.RFC3339Nano) }
