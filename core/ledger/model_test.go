package ledger

import (
	"cmp"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"viplog/core/event"
)

// model is the dumb twin of the ledger: no index, no tree; it looks at everything every time. This half is written from
// docs/allocation.md alone, the other (model_ownership_test.go) from docs/ownership.md; words in capitals and rule numbers
// are those of the texts. Maps are ranged over only where the order cannot show: into a sort, a count, or the one match.
type model struct {
	seq, rules   uint64
	now          int64
	room         bool // the fact at hand could have made room (Waiting)
	cluster      event.ClusterConfigured
	settings     event.SettingsChanged
	frontend     event.FrontendAssigned
	pools        map[string]event.Pool
	namespaces   map[string][]event.Label
	services     map[modelName]*modelService
	endpoints    map[modelName]event.EndpointsChanged
	used         map[netip.Addr]*modelUse
	cooling      map[netip.Addr]modelCooling
	nodes        map[netip.Addr]*modelNode
	lingering    map[Incarnation]bool
	conflicts    map[netip.Addr]map[netip.Addr]bool // by address, the nodes that report one
	voters       modelVoters
	votersBefore modelVoters // version 0: the voters are settled
}

// modelName is a Service's name.
type modelName struct{ namespace, name string }

// modelService is a Service as it is declared now, and the sequence of the fact that created it.
type modelService struct {
	event.ServiceApplied
	created uint64
}

// modelUse is an address IN USE. It remembers the name of its pool, so that an address that left the pool still has
// one; a pool that grows over the address takes it over.
type modelUse struct {
	pool    string
	users   []*modelService // in order of arrival
	list    []Incarnation   // owner, first standby, second standby
	version uint64          // the sequence of the fact that last changed the list; 0 if none did
}

// modelCooling says until when an address is COOLING, and for whom it is kept.
type modelCooling struct {
	until int64
	name  modelName
}

func newModel() *model {
	return &model{
		settings:   event.DefaultSettings(),
		pools:      map[string]event.Pool{},
		namespaces: map[string][]event.Label{},
		services:   map[modelName]*modelService{},
		endpoints:  map[modelName]event.EndpointsChanged{},
		used:       map[netip.Addr]*modelUse{},
		cooling:    map[netip.Addr]modelCooling{},
		nodes:      map[netip.Addr]*modelNode{},
		lingering:  map[Incarnation]bool{},
		conflicts:  map[netip.Addr]map[netip.Addr]bool{},
	}
}

// apply folds one fact. RebalanceRequested changes nothing here: of equally good plans the model cannot know the ledger's.
// seq counts from 1, now is the ledger time in Unix nanoseconds (already the maximum so far).
func (m *model) apply(e event.Event, seq uint64, now int64) {
	m.seq, m.now = seq, now
	m.endCooldowns()
	if e.Check() != nil {
		return
	}
	m.room = false
	switch e := e.(type) {
	case event.ClusterConfigured:
		m.configureCluster(e)
	case event.SettingsChanged:
		if e.Frontend.RouterID != 0 && m.rules < 2 {
			break
		}
		m.settings, m.room = e, true
		m.reviewAll()
	case event.FrontendAssigned:
		if m.rules >= 2 {
			m.frontend = e
		}
	case event.PoolAdded:
		m.addPool(e.Pool)
	case event.PoolEdited:
		m.editPool(e.Pool)
	case event.PoolRemoved:
		m.removePool(e.Name)
	case event.NamespaceChanged:
		m.namespaces[e.Name], m.room = e.Labels, true
	case event.NamespaceDeleted:
		delete(m.namespaces, e.Name)
		m.room = true
	case event.ServiceApplied:
		m.applyService(e, seq)
	case event.ServiceDeleted:
		m.deleteService(e)
	case event.AddressReleased:
		m.releaseCooling(e.Address)
	case event.EndpointsChanged:
		m.changeEndpoints(e)
	case event.NodeJoined:
		m.joinNode(e)
	case event.NodeChanged:
		m.changeNode(e)
	case event.NodeLabelled:
		m.labelNode(e)
	case event.NodeDrained:
		m.drainNode(e.Address, true)
	case event.NodeUndrained:
		m.drainNode(e.Address, false)
	case event.NodeLeft:
		m.endNode(e.Address, e.Incarnation)
		delete(m.lingering, Incarnation{e.Address, e.Incarnation})
	case event.NodeFailed:
		if m.proven(e) {
			m.endNode(e.Address, e.Incarnation)
			delete(m.lingering, Incarnation{e.Address, e.Incarnation})
		}
	case event.VoterAdded:
		m.addVoter(e)
	case event.VoterRemoved:
		m.removeVoter(e.ID)
	case event.VotersSettled:
		m.settleVoters(e.Set)
	case event.RulesAdopted:
		m.adoptRules(e.Rules)
	case event.VIPConflictSeen:
		if m.runs(e.Node) {
			if m.conflicts[e.Address] == nil {
				m.conflicts[e.Address] = map[netip.Addr]bool{}
			}
			m.conflicts[e.Address][e.Node] = true
		}
	case event.VIPConflictCleared:
		m.clearConflict(e.Node, e.Address)
	}
	for a := range m.cooling { // Pools: what can no longer be allocated stops cooling
		if !m.allocatable(a) {
			delete(m.cooling, a)
		}
	}
	if m.room {
		m.tryWaiting()
	}
}

// ---- Words: pools

func modelRanges(texts []string) []netipx.IPRange {
	var ranges []netipx.IPRange
	for _, text := range texts {
		if r, err := event.ParseRange(text); err == nil {
			ranges = append(ranges, r)
		}
	}
	slices.SortFunc(ranges, func(a, b netipx.IPRange) int { return a.From().Compare(b.From()) })
	return ranges
}

func modelLiesIn(a netip.Addr, texts []string) bool {
	return slices.ContainsFunc(modelRanges(texts), func(r netipx.IPRange) bool { return r.Contains(a) })
}

// modelAddresses walks a pool's addresses, the lowest first. It relies on ranges that do not overlap (Pools).
func modelAddresses(p event.Pool) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, r := range modelRanges(p.Addresses) {
			for a := r.From(); a.IsValid() && r.Contains(a); a = a.Next() {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// poolAround is the pool in whose ranges an address lies.
func (m *model) poolAround(a netip.Addr) (event.Pool, bool) {
	for _, p := range m.pools {
		if modelLiesIn(a, p.Addresses) {
			return p, true // the only one: ranges do not overlap
		}
	}
	return event.Pool{}, false
}

// poolOf is the remembered pool of an address in use, if it still exists.
func (m *model) poolOf(a netip.Addr) (event.Pool, bool) {
	p, exists := m.pools[m.used[a].pool]
	return p, exists
}

// refinement is what Settings say of a pool: the first entry of its name.
func (m *model) refinement(pool string) event.PoolSettings {
	for _, p := range m.settings.Pools {
		if p.Name == pool {
			return p
		}
	}
	return event.PoolSettings{Name: pool}
}

func (m *model) onEdit(pool string) string {
	return cmp.Or(m.refinement(pool).OnEdit, event.OnEditRefuse)
}

func (m *model) cooldown(pool string) int64 {
	const second = int64(1_000_000_000)
	if seconds := m.refinement(pool).CooldownSeconds; seconds != nil {
		return *seconds * second
	}
	return 60 * second
}

// pinned: a pool with any of namespaces and selectors.
func (m *model) pinned(pool string) bool {
	r := m.refinement(pool)
	return len(r.Namespaces)+len(r.NamespaceSelectors)+len(r.ServiceSelectors) > 0
}

// admits: not pinned, or both halves hold. A half without conditions holds, so a pool that is not pinned needs no case.
func (m *model) admits(pool string, s *modelService) bool {
	r := m.refinement(pool)
	byNamespace := len(r.Namespaces) == 0 && len(r.NamespaceSelectors) == 0 ||
		slices.Contains(r.Namespaces, s.Namespace) ||
		modelMatchesOne(r.NamespaceSelectors, m.namespaces[s.Namespace])
	byService := len(r.ServiceSelectors) == 0 || modelMatchesOne(r.ServiceSelectors, s.Labels)
	return byNamespace && byService
}

// admitsHolder: the pool admits the Service, the ingress Service with the ingressVIP apart.
func (m *model) admitsHolder(pool string, s *modelService, held []netip.Addr) bool {
	return m.admits(pool, s) || m.isIngress(s) && slices.ContainsFunc(held, m.reserved)
}

func modelMatchesOne(selectors []event.Selector, labels []event.Label) bool {
	return slices.ContainsFunc(selectors, func(s event.Selector) bool { return modelMatches(s, labels) })
}

func modelMatches(s event.Selector, labels []event.Label) bool {
	for _, want := range s.MatchLabels {
		if !slices.Contains(labels, want) {
			return false
		}
	}
	for _, condition := range s.MatchExpressions {
		if !modelHolds(condition, labels) {
			return false
		}
	}
	return true
}

func modelHolds(c event.SelectorCondition, labels []event.Label) bool {
	at := slices.IndexFunc(labels, func(l event.Label) bool { return l.Key == c.Key })
	present := at >= 0
	listed := present && slices.Contains(c.Values, labels[at].Value)
	switch c.Operator {
	case "In":
		return listed
	case "NotIn":
		return !listed
	case "Exists":
		return present
	case "DoesNotExist":
		return !present
	}
	return false
}

// ---- Words: addresses

// reserved: the ingressVIP, once it lies in a pool.
func (m *model) reserved(a netip.Addr) bool {
	_, inPool := m.poolAround(a)
	return inPool && a == m.cluster.IngressVIP
}

func (m *model) allocatable(a netip.Addr) bool {
	p, inPool := m.poolAround(a)
	return inPool && !modelLiesIn(a, m.refinement(p.Name).Exclude) && !(p.AvoidBuggyIPs && modelBuggy(a)) && !m.reserved(a) &&
		len(m.conflicts[a]) == 0
}

func modelBuggy(a netip.Addr) bool {
	return a.Is4() && (a.As4()[3] == 0 || a.As4()[3] == 255)
}

func (m *model) isUsed(a netip.Addr) bool {
	_, ok := m.used[a]
	return ok
}

func (m *model) isCooling(a netip.Addr) bool {
	_, ok := m.cooling[a]
	return ok
}

func (m *model) free(a netip.Addr) bool {
	return m.allocatable(a) && !m.isUsed(a) && !m.isCooling(a)
}

// ---- Words: Services

func (s *modelService) key() modelName { return modelName{s.Namespace, s.Name} }

func (n modelName) String() string { return n.namespace + "/" + n.name }

// wants gives the wanted families in the Service's order; none if the Service cannot be served.
func (s *modelService) wants() []string {
	switch {
	case s.FamilyPolicy == event.SingleStack:
		return s.Families[:1]
	case s.FamilyPolicy == event.RequireDualStack && len(s.Families) < 2:
		return nil
	}
	return s.Families
}

func (s *modelService) wantsFamilyOf(a netip.Addr) bool {
	return slices.Contains(s.wants(), event.FamilyOf(a))
}

func (s *modelService) requiresTwo() bool { return s.FamilyPolicy == event.RequireDualStack }

// missing gives the wanted families of which no address is there.
func (s *modelService) missing(there []netip.Addr) []string {
	var missing []string
	for _, family := range s.wants() {
		if !slices.ContainsFunc(there, func(a netip.Addr) bool { return event.FamilyOf(a) == family }) {
			missing = append(missing, family)
		}
	}
	return missing
}

func (m *model) isIngress(s *modelService) bool { return s.key().String() == m.settings.IngressService }

// addressesOf gives the addresses that a Service uses, in its order of families.
func (m *model) addressesOf(s *modelService) []netip.Addr {
	var mine []netip.Addr
	for a, u := range m.used {
		if slices.Contains(u.users, s) {
			mine = append(mine, a)
		}
	}
	return s.inOrder(mine)
}

// inOrder sorts addresses by the Service's order of families.
func (s *modelService) inOrder(addresses []netip.Addr) []netip.Addr {
	return slices.SortedFunc(slices.Values(addresses), func(a, b netip.Addr) int {
		return slices.Index(s.Families, event.FamilyOf(a)) - slices.Index(s.Families, event.FamilyOf(b))
	})
}

// modelMayShare: same non-empty key, no (protocol, port) in common, both Cluster or both Local with equal, non-empty
// selectors.
func modelMayShare(a, b *modelService) bool {
	if a.SharingKey == "" || a.SharingKey != b.SharingKey {
		return false
	}
	for _, port := range a.Ports {
		if slices.Contains(b.Ports, port) {
			return false
		}
	}
	bothCluster := a.TrafficPolicy == event.TrafficCluster && b.TrafficPolicy == event.TrafficCluster
	bothLocal := a.TrafficPolicy == event.TrafficLocal && b.TrafficPolicy == event.TrafficLocal
	return bothCluster || bothLocal && len(a.Selector) > 0 && slices.Equal(a.Selector, b.Selector)
}

// sharesWithAll says whether a Service may share an address with every other user.
func (m *model) sharesWithAll(s *modelService, a netip.Addr) bool {
	for _, user := range m.used[a].users {
		if user != s && !modelMayShare(s, user) {
			return false
		}
	}
	return true
}

// ---- Words: cost and quota

// modelQuota is the QUOTA LEFT: a number, or without limit.
type modelQuota struct {
	limited bool
	left    int
}

// allows: what costs nothing is always allowed, also where a quota was lowered below what is in use.
func (q modelQuota) allows(cost int) bool { return cost == 0 || !q.limited || cost <= q.left }

func (q modelQuota) less(cost int) modelQuota { return modelQuota{q.limited, q.left - cost} }

func (m *model) usesIn(namespace string, a netip.Addr) bool {
	u, ok := m.used[a]
	return ok && slices.ContainsFunc(u.users, func(s *modelService) bool { return s.Namespace == namespace })
}

func (m *model) cost(namespace string, addresses ...netip.Addr) int {
	cost := 0
	for _, a := range addresses {
		if !m.usesIn(namespace, a) {
			cost++
		}
	}
	return cost
}

func (m *model) quotaLeft(pool, namespace string) modelQuota {
	limit := m.refinement(pool).QuotaPerNamespace
	q := modelQuota{limited: limit != 0, left: limit}
	for a, u := range m.used {
		if u.pool == pool && m.usesIn(namespace, a) {
			q.left--
		}
	}
	return q
}

// ---- Choosing

// choose gives the addresses for a Service without an address, or none if it waits. The first rule that applies
// decides.
func (m *model) choose(s *modelService) []netip.Addr {
	if len(s.wants()) == 0 {
		return nil
	}
	if len(s.RequestedAddresses) > 0 { // rule 1
		chosen, _ := m.chooseNamed(s, s.RequestedAddresses, true)
		return chosen
	}
	if m.ingressRuleApplies(s) { // rule 2
		return m.chooseIngressVIP(s)
	}
	if adopted, ok := m.adopt(s); ok { // rule 3
		return adopted
	}
	if kept, ok := m.chooseOwnCooling(s); ok { // rule 4
		return kept
	}
	return m.chooseInRounds(s, m.poolsFor(s)) // rules 5 and 6
}

// poolsFor gives the pools that rules 4 to 6 look at: the requested one if it exists and admits the Service (rule 5),
// also if it is manualAssign; without a requested pool those in order (rule 6).
func (m *model) poolsFor(s *modelService) []event.Pool {
	if s.RequestedPool == "" {
		return m.poolsInOrder(s)
	}
	if p, exists := m.pools[s.RequestedPool]; exists && m.admits(p.Name, s) {
		return []event.Pool{p}
	}
	return nil
}

// poolsInOrder, rule 6: not manualAssign and admitting; pinned first, then the others; each by (priority, 0 last; name).
func (m *model) poolsInOrder(s *modelService) []event.Pool {
	var pools []event.Pool
	for _, p := range m.pools {
		if !p.ManualAssign && m.admits(p.Name, s) {
			pools = append(pools, p)
		}
	}
	slices.SortFunc(pools, func(a, b event.Pool) int {
		return cmp.Or(
			modelFalseFirst(!m.pinned(a.Name), !m.pinned(b.Name)),
			modelFalseFirst(m.refinement(a.Name).Priority == 0, m.refinement(b.Name).Priority == 0),
			cmp.Compare(m.refinement(a.Name).Priority, m.refinement(b.Name).Priority),
			cmp.Compare(a.Name, b.Name))
	})
	return pools
}

func modelFalseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// chooseNamed is rule 1 for the addresses given: those requested, or those of the status (rule 3: quota apart).
func (m *model) chooseNamed(s *modelService, named []netip.Addr, quotaCounts bool) ([]netip.Addr, bool) {
	pool, inPool := m.poolAround(named[0])
	if !inPool || !m.admits(pool.Name, s) || s.RequestedPool != "" && s.RequestedPool != pool.Name {
		return nil, false
	}
	families := map[string]bool{}
	for _, a := range named {
		families[event.FamilyOf(a)] = true
		around, _ := m.poolAround(a)
		if !s.wantsFamilyOf(a) || around.Name != pool.Name || !m.mayHave(s, a) {
			return nil, false
		}
	}
	if len(families) < len(named) { // two of one family
		return nil, false
	}
	if quotaCounts && !m.quotaLeft(pool.Name, s.Namespace).allows(m.cost(s.Namespace, named...)) {
		return nil, false
	}
	return m.completed(s, pool, named)
}

// mayHave, rule 1: allocatable (or the reserved ingressVIP, for the ingress Service), and free, cooling or in use such
// that the Service may use it.
func (m *model) mayHave(s *modelService, a netip.Addr) bool {
	if !m.allocatable(a) {
		return m.isIngress(s) && m.reserved(a) && !m.isUsed(a)
	}
	return !m.isUsed(a) || m.sharesWithAll(s, a)
}

// ingressRuleApplies, rule 2: the ingress Service without requests (neither addresses nor a pool), where the ingressVIP
// is reserved and of a wanted family.
func (m *model) ingressRuleApplies(s *modelService) bool {
	vip := m.cluster.IngressVIP
	return m.isIngress(s) && len(s.RequestedAddresses) == 0 && s.RequestedPool == "" && m.reserved(vip) && s.wantsFamilyOf(vip)
}

// chooseIngressVIP, rule 2: if another uses it, the Service waits.
func (m *model) chooseIngressVIP(s *modelService) []netip.Addr {
	vip := m.cluster.IngressVIP
	if m.isUsed(vip) {
		return nil
	}
	pool, _ := m.poolAround(vip)
	chosen, _ := m.completed(s, pool, []netip.Addr{vip})
	return chosen
}

// adopt, rule 3.
func (m *model) adopt(s *modelService) ([]netip.Addr, bool) {
	if len(s.StatusAddresses) == 0 {
		return nil, false
	}
	for _, a := range s.StatusAddresses {
		if m.isCooling(a) && m.cooling[a].name != s.key() {
			return nil, false
		}
	}
	return m.chooseNamed(s, s.StatusAddresses, false)
}

// chooseOwnCooling, rule 4: in the first pool that keeps an address for the Service within its quota.
func (m *model) chooseOwnCooling(s *modelService) ([]netip.Addr, bool) {
	for _, pool := range m.poolsFor(s) {
		var kept []netip.Addr
		quota := m.quotaLeft(pool.Name, s.Namespace)
		for _, family := range s.wants() {
			a, ok := m.cooledLongest(pool, family, func(c modelCooling) bool { return c.name == s.key() })
			if ok && quota.allows(1) {
				kept = append(kept, a)
				quota = quota.less(1)
			}
		}
		if len(kept) > 0 {
			return m.completed(s, pool, kept)
		}
	}
	return nil, false
}

// chooseInRounds, rule 6. In each round every pool without what is cooling, then every pool with it.
func (m *model) chooseInRounds(s *modelService, pools []event.Pool) []netip.Addr {
	for _, families := range s.rounds() {
		for _, takeCooling := range []bool{false, true} {
			for _, pool := range pools {
				quota := m.quotaLeft(pool.Name, s.Namespace)
				if picked, ok := m.pickAll(s, pool, families, quota, takeCooling); ok {
					return picked
				}
			}
		}
	}
	return nil
}

// rounds gives the families of each round of rule 6.
func (s *modelService) rounds() [][]string {
	wanted := s.wants()
	rounds := [][]string{wanted}
	if len(wanted) == 2 && s.FamilyPolicy == event.PreferDualStack {
		rounds = append(rounds, wanted[:1], wanted[1:])
	}
	return rounds
}

// ---- PICK and COMPLETING

// pickAll picks the families one after the other, each with the quota that the former leaves; all or none.
func (m *model) pickAll(
	s *modelService, pool event.Pool, families []string, q modelQuota, takeCooling bool,
) ([]netip.Addr, bool) {
	var picked []netip.Addr
	for _, family := range families {
		a, ok := m.pick(s, pool, family, q, takeCooling)
		if !ok {
			return nil, false
		}
		picked = append(picked, a)
		q = q.less(m.cost(s.Namespace, a))
	}
	return picked, true
}

// pick is PICK: the lowest address that is free, or in use and may be used; else, if it may take what is cooling, the one
// that has cooled longest.
func (m *model) pick(s *modelService, pool event.Pool, family string, q modelQuota, takeCooling bool) (netip.Addr, bool) {
	for a := range modelAddresses(pool) {
		usable := m.free(a) || m.isUsed(a) && m.allocatable(a) && m.sharesWithAll(s, a)
		if event.FamilyOf(a) == family && usable && q.allows(m.cost(s.Namespace, a)) {
			return a, true
		}
	}
	if takeCooling && q.allows(1) {
		return m.cooledLongest(pool, family, func(modelCooling) bool { return true })
	}
	return netip.Addr{}, false
}

// cooledLongest gives the allocatable cooling address of a family with the least until, then the lowest.
func (m *model) cooledLongest(pool event.Pool, family string, match func(modelCooling) bool) (netip.Addr, bool) {
	var longest netip.Addr
	for a := range modelAddresses(pool) { // the lowest first, so that a later one must have cooled longer to win
		if event.FamilyOf(a) != family || !m.isCooling(a) || !m.allocatable(a) || !match(m.cooling[a]) {
			continue
		}
		if !longest.IsValid() || m.cooling[a].until < m.cooling[longest].until {
			longest = a
		}
	}
	return longest, longest.IsValid()
}

// completed is COMPLETING: the addresses that are there, held or only chosen, with the missing family where it can be
// picked from a pool that admits the Service. It fails where the Service requires two families and one cannot be picked.
// Quota always counts for what it picks.
func (m *model) completed(s *modelService, pool event.Pool, there []netip.Addr) ([]netip.Addr, bool) {
	missing := s.missing(there)
	if len(missing) == 0 {
		return there, true
	}
	quota := m.quotaLeft(pool.Name, s.Namespace).less(m.cost(s.Namespace, there...))
	for _, takeCooling := range []bool{false, true} {
		picked, ok := m.pickAll(s, pool, missing, quota, takeCooling)
		if ok && m.admitsHolder(pool.Name, s, there) {
			return append(slices.Clone(there), picked...), true
		}
	}
	if s.requiresTwo() {
		return nil, false
	}
	return there, true
}

// ---- Taking, keeping, releasing

// take makes a Service a user of addresses that it does not use yet. One that is new gets its list at once, one that comes
// to be shared is reviewed.
func (m *model) take(s *modelService, addresses []netip.Addr) {
	for _, a := range s.inOrder(addresses) {
		delete(m.cooling, a)
		if !m.isUsed(a) {
			pool, _ := m.poolAround(a)
			m.used[a] = &modelUse{pool: pool.Name}
		}
		if u := m.used[a]; !slices.Contains(u.users, s) {
			u.users = append(u.users, s)
			m.reviewEach([]netip.Addr{a})
		}
	}
}

// release makes a Service leave addresses (Releasing).
func (m *model) release(s *modelService, addresses []netip.Addr) {
	for _, a := range addresses {
		m.room = true
		u := m.used[a]
		u.users = slices.DeleteFunc(u.users, func(user *modelService) bool { return user == s })
		if len(u.users) > 0 {
			m.reviewEach([]netip.Addr{a})
			continue
		}
		delete(m.used, a)
		if cooldown := m.cooldown(u.pool); cooldown != 0 && m.allocatable(a) {
			m.cooling[a] = modelCooling{until: m.now + cooldown, name: s.key()}
		}
	}
}

func (m *model) endCooldowns() {
	for a, c := range m.cooling {
		if m.now >= c.until {
			delete(m.cooling, a)
		}
	}
}

func (m *model) releaseCooling(a netip.Addr) {
	if m.isCooling(a) {
		delete(m.cooling, a)
		m.room = true
	}
}

func (m *model) clearConflict(node, a netip.Addr) {
	if m.conflicts[a][node] {
		delete(m.conflicts[a], node)
		m.room = true
	}
}

func (m *model) applyService(e event.ServiceApplied, seq uint64) {
	s, exists := m.services[modelName{e.Namespace, e.Name}]
	switch {
	case !exists:
		s = &modelService{ServiceApplied: e, created: seq}
		m.services[s.key()] = s
	case s.Source != e.Source:
		return
	default:
		m.room = len(m.addressesOf(s)) > 0 && modelSharingChanged(s.ServiceApplied, e)
		s.ServiceApplied = e
	}
	m.keep(s)
	m.tryAgain(s)
	if exists {
		m.reviewEach(m.addressesOf(s))
	}
}

// modelSharingChanged, Waiting: a change of a user's ports, key, policy or selector.
func modelSharingChanged(was, is event.ServiceApplied) bool {
	return was.SharingKey != is.SharingKey || was.TrafficPolicy != is.TrafficPolicy ||
		!slices.Equal(was.Ports, is.Ports) || !slices.Equal(was.Selector, is.Selector)
}

func (m *model) deleteService(e event.ServiceDeleted) {
	s, exists := m.services[modelName{e.Namespace, e.Name}]
	if !exists || s.Source != e.Source {
		return
	}
	m.release(s, m.addressesOf(s))
	delete(m.services, s.key())
	delete(m.endpoints, s.key())
}

// keep is Keeping, rules 1 and 2; tryAgain is its rule 3.
func (m *model) keep(s *modelService) {
	var unwanted []netip.Addr
	for _, a := range m.addressesOf(s) {
		if !s.wantsFamilyOf(a) {
			unwanted = append(unwanted, a)
		}
	}
	m.release(s, unwanted) // rule 1
	if rest := m.addressesOf(s); m.mustLeave(s, rest) {
		m.release(s, rest) // rule 2
	}
}

// mustLeave holds the conditions of Keeping's rule 2.
func (m *model) mustLeave(s *modelService, rest []netip.Addr) bool {
	for _, requested := range s.RequestedAddresses {
		if !slices.Contains(rest, requested) {
			return true
		}
	}
	for _, a := range rest {
		pool, exists := m.poolOf(a)
		switch {
		case s.RequestedPool != "" && s.RequestedPool != m.used[a].pool,
			exists && !m.admitsHolder(pool.Name, s, rest),
			!m.sharesWithAll(s, a):
			return true
		}
	}
	return false
}

// tryAgain lets a Service choose or be completed (Keeping, rule 3; Waiting). One that requires two families and cannot be
// completed leaves the rest and chooses anew.
func (m *model) tryAgain(s *modelService) {
	held := m.addressesOf(s)
	if len(held) > 0 && len(s.missing(held)) == 0 {
		return
	}
	if len(held) > 0 {
		if all, ok := m.completedHeld(s, held); ok {
			m.take(s, all)
			return
		}
		m.release(s, held)
	}
	m.take(s, m.choose(s))
}

// completedHeld completes what a Service holds. Without its pool nothing can be picked.
func (m *model) completedHeld(s *modelService, held []netip.Addr) ([]netip.Addr, bool) {
	pool, exists := m.poolOf(held[0])
	if !exists {
		return held, !s.requiresTwo()
	}
	return m.completed(s, pool, held)
}

// tryWaiting is Waiting: each tries in the order of the facts that created them, and again as long as one of them got
// something or gave something up. Services that an edit evicted are among them.
func (m *model) tryWaiting() {
	var services []*modelService
	for _, s := range m.services {
		services = append(services, s)
	}
	slices.SortFunc(services, func(a, b *modelService) int { return cmp.Compare(a.created, b.created) })
	for got := true; got; {
		got = false
		for _, s := range services {
			before := len(m.addressesOf(s))
			m.tryAgain(s)
			got = got || len(m.addressesOf(s)) != before
		}
	}
}

// ---- Cluster and pools

func (m *model) configureCluster(e event.ClusterConfigured) {
	was := m.cluster
	if was.Name != "" && was.Name != e.Name || was.IngressVIP.IsValid() && was.IngressVIP != e.IngressVIP {
		return
	}
	m.cluster, m.room = e, true
	m.declareNodes(e.Nodes)
}

// overlaps says whether a range of a pool overlaps another of this or any other pool.
func (m *model) overlaps(p event.Pool) bool {
	ranges := modelRanges(p.Addresses)
	for _, other := range m.pools {
		if other.Name != p.Name {
			ranges = append(ranges, modelRanges(other.Addresses)...)
		}
	}
	for i, r := range ranges {
		if slices.ContainsFunc(ranges[i+1:], r.Overlaps) {
			return true
		}
	}
	return false
}

func (m *model) addPool(p event.Pool) {
	if _, exists := m.pools[p.Name]; exists || m.overlaps(p) {
		return
	}
	m.pools[p.Name], m.room = p, true
	m.takeOver(p)
	m.reviewAll()
}

func (m *model) editPool(p event.Pool) {
	was, exists := m.pools[p.Name]
	if !exists || m.overlaps(p) {
		return
	}
	policy := m.onEdit(p.Name)
	sameAddresses := slices.Equal(was.Addresses, p.Addresses)
	if policy == event.OnEditRefuse && !sameAddresses ||
		sameAddresses && was.AvoidBuggyIPs == p.AvoidBuggyIPs && was.ManualAssign == p.ManualAssign {
		return
	}
	m.pools[p.Name], m.room = p, true
	m.takeOver(p)
	m.leavePool(p.Name, policy)
}

func (m *model) removePool(name string) {
	policy := m.onEdit(name)
	if _, exists := m.pools[name]; !exists || policy == event.OnEditRefuse {
		return
	}
	delete(m.pools, name)
	m.room = true
	m.leavePool(name, policy)
}

// takeOver makes addresses in use that lie in a pool count as that pool's, whichever pool they came from.
func (m *model) takeOver(p event.Pool) {
	for a, u := range m.used {
		if modelLiesIn(a, p.Addresses) {
			u.pool = p.Name
		}
	}
}

// leavePool ends the cooling of what is in no pool any more, and under evict the use of what counts as this pool's and
// lies in no pool. Under drain that lives on.
func (m *model) leavePool(name, policy string) {
	for a := range m.cooling {
		if _, inPool := m.poolAround(a); !inPool {
			delete(m.cooling, a)
		}
	}
	for a, u := range m.used {
		if _, inPool := m.poolAround(a); policy == event.OnEditEvict && u.pool == name && !inPool {
			for _, user := range slices.Clone(u.users) {
				m.release(user, []netip.Addr{a})
			}
		}
	}
	m.reviewAll()
}

// ---- The whole result as text

// String is the whole result in a canonical text.
func (m *model) String() string {
	var text strings.Builder
	for _, name := range modelSortedKeys(m.services, modelCompareNames) {
		addresses := modelJoin(m.addressesOf(m.services[name]))
		fmt.Fprintf(&text, "service %s: %s\n", name, cmp.Or(addresses, "waiting"))
	}
	for _, a := range modelSortedKeys(m.used, netip.Addr.Compare) {
		var users []modelName
		for _, s := range m.used[a].users {
			users = append(users, s.key())
		}
		fmt.Fprintf(&text, "address %s: %s\n", a, modelJoin(users))
	}
	for _, a := range modelSortedKeys(m.cooling, netip.Addr.Compare) {
		fmt.Fprintf(&text, "cooling %s: until %d for %s\n", a, m.cooling[a].until, m.cooling[a].name)
	}
	for _, name := range modelSortedKeys(m.pools, strings.Compare) {
		free := 0
		for a := range modelAddresses(m.pools[name]) {
			if m.free(a) {
				free++
			}
		}
		fmt.Fprintf(&text, "pool %s: %d free\n", name, free)
	}
	return text.String()
}

func modelSortedKeys[K comparable, V any](values map[K]V, compare func(K, K) int) []K {
	var keys []K
	for k := range values {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}

func modelCompareNames(a, b modelName) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.name, b.name))
}

func modelJoin[T fmt.Stringer](values []T) string {
	var texts []string
	for _, v := range values {
		texts = append(texts, v.String())
	}
	return strings.Join(texts, " ")
}
