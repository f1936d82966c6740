package ledger

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"viplog/core/event"
)

// This is the ownership half of the model, written from docs/ownership.md alone; words in capitals and section names are
// that text's. Nothing is counted ahead: what nodes own and back is counted over all lists whenever it is asked.

// modelNode is a declared node. What it said of itself when it last joined holds its interfaces as they are now.
type modelNode struct {
	event.DeclaredNode
	said        event.NodeJoined
	labelled    event.NodeLabelled
	drained     bool
	runs        bool
	incarnation uint64 // of the last join; 0 before the first
}

// modelVoters is a set of voters: the keys by id, and the sequence of the fact that made it.
type modelVoters struct {
	version uint64
	keys    map[string]ed25519.PublicKey
}

// ---- Words

// announcingRole: loadBalancer, if the file declares any, else controlPlane.
func (m *model) announcingRole() string {
	for _, n := range m.nodes {
		if n.Role == event.RoleLoadBalancer {
			return event.RoleLoadBalancer
		}
	}
	return event.RoleControlPlane
}

func (m *model) runs(node netip.Addr) bool {
	n, declared := m.nodes[node]
	return declared && n.runs
}

// announceRules gives the RULES of an address; free says that its pool's settings have none at all.
func (m *model) announceRules(a netip.Addr) (rules []event.AnnounceRule, free bool) {
	var all []event.AnnounceRule
	if p, exists := m.poolOf(a); exists {
		all = m.refinement(p.Name).Announce
	}
	for _, rule := range all {
		matchesAll := !slices.ContainsFunc(m.used[a].users, func(s *modelService) bool {
			return !modelMatchesOne(rule.ServiceSelectors, s.Labels)
		})
		if len(rule.ServiceSelectors) == 0 || matchesAll {
			rules = append(rules, rule)
		}
	}
	return rules, len(all) == 0
}

// modelReaches: one of the interfaces that are up has a prefix that holds the address; with names, one of those named.
func modelReaches(interfaces []event.Interface, names []string, a netip.Addr) bool {
	return slices.ContainsFunc(interfaces, func(i event.Interface) bool {
		return i.Up && (len(names) == 0 || slices.Contains(names, i.Name)) &&
			slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
	})
}

// allows: a rule ALLOWS a node for an address.
func (n *modelNode) allowedBy(rule event.AnnounceRule, a netip.Addr) bool {
	return (len(rule.NodeSelectors) == 0 || modelMatchesOne(rule.NodeSelectors, n.labelled.Labels)) &&
		(len(rule.Interfaces) == 0 || modelReaches(n.said.Interfaces, rule.Interfaces, a))
}

// candidate: a node is a CANDIDATE for an address.
func (m *model) candidate(n *modelNode, a netip.Addr) bool {
	rules, free := m.announceRules(a)
	return n.Role == m.announcingRole() && n.runs && !n.drained &&
		!slices.Contains(n.labelled.Conditions, "NetworkUnavailable") &&
		(m.settings.IgnoreExcludeLabel || !n.excludedByLabel()) &&
		!slices.ContainsFunc(n.labelled.Taints, m.excludesTaint) &&
		modelReaches(n.said.Interfaces, nil, a) &&
		(free || slices.ContainsFunc(rules, func(rule event.AnnounceRule) bool { return n.allowedBy(rule, a) })) &&
		m.servesAll(n, a)
}

func (n *modelNode) excludedByLabel() bool {
	return slices.ContainsFunc(n.labelled.Labels, func(l event.Label) bool {
		return l.Key == "node.kubernetes.io/exclude-from-external-load-balancers"
	})
}

// excludesTaint: the taint, or its key, is among excludeTaints. A taint is key=value:effect or key:effect.
func (m *model) excludesTaint(taint string) bool {
	key := taint[:strings.IndexAny(taint, "=:")]
	return slices.Contains(m.settings.ExcludeTaints, taint) || slices.Contains(m.settings.ExcludeTaints, key)
}

// servesAll: if the address is LOCAL, every user's last EndpointsChanged names the node.
func (m *model) servesAll(n *modelNode, a netip.Addr) bool {
	return !slices.ContainsFunc(m.used[a].users, func(s *modelService) bool {
		return s.TrafficPolicy == event.TrafficLocal && !slices.Contains(m.endpoints[s.key()].Nodes, n.said.Name)
	})
}

// weight is the WEIGHT of a candidate for an address.
func (m *model) weight(n *modelNode, a netip.Addr) int {
	sum := 0
	rules, _ := m.announceRules(a)
	for _, rule := range rules {
		for _, preferred := range rule.Preferred {
			if n.allowedBy(rule, a) && modelMatches(preferred.NodeSelector, n.labelled.Labels) {
				sum += preferred.Weight
			}
		}
	}
	return sum
}

// owned counts the lists that a node heads.
func (m *model) owned(node netip.Addr) int { return m.stands(node, node, 0) }

// stands counts the lists that one node heads and another is in at a position: it BACKS the first, at 1 and 2.
func (m *model) stands(head, node netip.Addr, position int) int {
	count := 0
	for _, u := range m.used {
		if len(u.list) > position && u.list[0].Node == head && u.list[position].Node == node {
			count++
		}
	}
	return count
}

func modelHash(node, a netip.Addr) uint64 {
	sum := sha256.Sum256([]byte(node.String() + "\x00" + a.String()))
	return binary.BigEndian.Uint64(sum[:8])
}

// ---- Completing a list

// complete takes candidates until the list has three entries or no candidate is left. It counts only once it is complete:
// until then what was kept of it does.
func (m *model) complete(a netip.Addr) {
	list := slices.Clone(m.used[a].list)
	for len(list) < 3 {
		n := m.firstCandidate(a, list)
		if n == nil {
			break
		}
		at := len(list)
		if m.rules >= 1 && at >= 2 && m.stands(list[0].Node, n.Address, 1) < m.stands(list[0].Node, list[1].Node, 1) {
			at = 1 // the exception of rules 1
		}
		list = slices.Insert(list, at, Incarnation{Node: n.Address, Join: n.incarnation})
	}
	m.setList(a, list)
}

// firstCandidate gives the candidate that a list takes next; nil for none.
func (m *model) firstCandidate(a netip.Addr, list []Incarnation) *modelNode {
	var first *modelNode
	for _, n := range m.nodes {
		isIn := slices.ContainsFunc(list, func(member Incarnation) bool { return member.Node == n.Address })
		if !isIn && m.candidate(n, a) && (first == nil || m.compareCandidates(n, first, a, list) < 0) {
			first = n
		}
	}
	return first
}

func (m *model) compareCandidates(x, y *modelNode, a netip.Addr, list []Incarnation) int {
	backing := 0
	if len(list) > 0 {
		backing = m.stands(list[0].Node, x.Address, len(list)) - m.stands(list[0].Node, y.Address, len(list))
	}
	return cmp.Or(
		m.weight(y, a)-m.weight(x, a),
		backing,
		m.owned(x.Address)-m.owned(y.Address),
		cmp.Compare(modelHash(x.Address, a), modelHash(y.Address, a)))
}

// setList changes a list and its version, if it is another.
func (m *model) setList(a netip.Addr, list []Incarnation) {
	if u := m.used[a]; !slices.Equal(u.list, list) {
		u.list, u.version = list, m.seq
	}
}

// ---- Reviewing lists

// review is REVIEW of some addresses, in their order: members that drop says are dropped, then what is short is completed.
func (m *model) review(addresses []netip.Addr, drop func(Incarnation, netip.Addr) bool) {
	for _, a := range addresses {
		m.setList(a, slices.DeleteFunc(slices.Clone(m.used[a].list), func(member Incarnation) bool { return drop(member, a) }))
	}
	for _, a := range addresses {
		m.complete(a)
	}
}

// The three ways to drop members.

func modelNobody(Incarnation, netip.Addr) bool { return false }

func (m *model) noCandidate(member Incarnation, a netip.Addr) bool {
	n, declared := m.nodes[member.Node]
	return !declared || n.incarnation != member.Join || !m.candidate(n, a)
}

func modelOnly(node netip.Addr, drop func(Incarnation, netip.Addr) bool) func(Incarnation, netip.Addr) bool {
	return func(member Incarnation, a netip.Addr) bool { return member.Node == node && drop(member, a) }
}

// The sets of addresses that are reviewed.

func (m *model) listed(matches func(list []Incarnation) bool) []netip.Addr {
	return slices.DeleteFunc(modelSortedKeys(m.used, netip.Addr.Compare), func(a netip.Addr) bool {
		return !matches(m.used[a].list)
	})
}

func (m *model) reviewAll() {
	m.review(m.listed(func([]Incarnation) bool { return true }), m.noCandidate)
}

func (m *model) reviewShort() {
	m.review(m.listed(func(list []Incarnation) bool { return len(list) < 3 }), modelNobody)
}

// reviewNode reviews the lists that a node is in; no one else is dropped from them.
func (m *model) reviewNode(node netip.Addr) {
	isIn := func(list []Incarnation) bool {
		return slices.ContainsFunc(list, func(member Incarnation) bool { return member.Node == node })
	}
	m.review(m.listed(isIn), modelOnly(node, m.noCandidate))
}

// reviewEach reviews addresses each by itself.
func (m *model) reviewEach(addresses []netip.Addr) {
	for _, a := range addresses {
		m.review([]netip.Addr{a}, m.noCandidate)
	}
}

// ---- When

func (m *model) changeEndpoints(e event.EndpointsChanged) {
	name := modelName{e.Namespace, e.Name}
	if was, remembered := m.endpoints[name]; remembered && was.Source != e.Source {
		return
	}
	m.endpoints[name] = e
	if len(e.Nodes) == 0 {
		delete(m.endpoints, name)
	}
	if s, exists := m.services[name]; exists && s.TrafficPolicy == event.TrafficLocal {
		m.reviewEach(m.addressesOf(s))
	}
}

// declareNodes follows the cluster file. A dropped node is forgotten, and its incarnation ends.
func (m *model) declareNodes(declared []event.DeclaredNode) {
	was := m.nodes
	m.nodes = map[netip.Addr]*modelNode{}
	for _, d := range declared {
		n, known := was[d.Address]
		if !known {
			n = &modelNode{}
		}
		n.DeclaredNode = d
		m.nodes[d.Address] = n
	}
	for address := range was {
		if m.nodes[address] == nil {
			if was[address].runs {
				m.lingering[Incarnation{address, was[address].incarnation}] = true
			}
			m.endConflicts(address)
		}
	}
	m.reviewAll()
}

func (m *model) joinNode(e event.NodeJoined) {
	n, declared := m.nodes[e.Address]
	if !declared || !modelReaches(e.Interfaces, nil, e.Address) ||
		n.runs && (n.said.MachineID != e.MachineID || n.said.StartID == e.StartID) {
		return
	}
	if n.runs {
		m.lingering[Incarnation{n.Address, n.incarnation}] = true
		m.stopNode(n)
	}
	n.said, n.runs, n.incarnation = e, true, m.seq
	m.reviewShort()
}

// stopNode ends an incarnation.
func (m *model) stopNode(n *modelNode) {
	n.runs = false
	m.endConflicts(n.Address)
	m.reviewNode(n.Address)
}

// endConflicts: a node's reports end with its incarnation.
func (m *model) endConflicts(node netip.Addr) {
	for a := range m.conflicts {
		m.clearConflict(node, a)
	}
}

func (m *model) endNode(node netip.Addr, incarnation uint64) {
	if m.runs(node) && m.nodes[node].incarnation == incarnation {
		m.stopNode(m.nodes[node])
	}
}

func (m *model) changeNode(e event.NodeChanged) {
	if !m.runs(e.Address) || m.nodes[e.Address].incarnation != e.Incarnation {
		return
	}
	m.nodes[e.Address].said.Interfaces = e.Interfaces
	m.reviewNode(e.Address)
	m.reviewShort()
}

func (m *model) labelNode(e event.NodeLabelled) {
	if n, declared := m.nodes[e.Address]; declared {
		n.labelled = e
		m.reviewNode(e.Address)
		m.reviewShort()
	}
}

func (m *model) drainNode(node netip.Addr, drained bool) {
	n, declared := m.nodes[node]
	if !declared || n.drained == drained {
		return
	}
	n.drained = drained
	if drained {
		m.reviewNode(node)
	} else {
		m.reviewShort()
	}
}

// ---- Voters and rules, of which the text says only when a death is proven and that there are rules

// changeVoters goes from a settled set to the next, which is the present one and this change.
func (m *model) changeVoters(change func(keys map[string]ed25519.PublicKey)) {
	if m.votersBefore.version != 0 {
		return
	}
	next := modelVoters{version: m.seq, keys: map[string]ed25519.PublicKey{}}
	for id, key := range m.voters.keys {
		next.keys[id] = key
	}
	change(next.keys)
	m.votersBefore, m.voters = m.voters, next
}

func (m *model) addVoter(e event.VoterAdded) {
	if _, known := m.voters.keys[e.ID]; !known {
		m.changeVoters(func(keys map[string]ed25519.PublicKey) { keys[e.ID] = e.Key })
	}
}

func (m *model) removeVoter(id string) {
	if _, known := m.voters.keys[id]; known {
		m.changeVoters(func(keys map[string]ed25519.PublicKey) { delete(keys, id) })
	}
}

func (m *model) settleVoters(set uint64) {
	if set == m.voters.version {
		m.votersBefore = modelVoters{}
	}
}

// proven: signed, each vote by another voter of one set in force, and by a majority of it. The set before counts until the
// new one is settled.
func (m *model) proven(e event.NodeFailed) bool {
	for _, set := range []modelVoters{m.voters, m.votersBefore} {
		voted := map[string]bool{}
		for _, vote := range e.Votes {
			message := event.VoteMessage(testLog, e.Address, e.Incarnation, e.Set)
			key, member := set.keys[vote.Voter]
			if voted[vote.Voter] || !member || !ed25519.Verify(key, message, vote.Signature) {
				return false
			}
			voted[vote.Voter] = true
		}
		if set.version == e.Set && 2*len(voted) > len(set.keys) {
			return true
		}
	}
	return false
}

// adoptRules: once every node that runs knows them.
func (m *model) adoptRules(rules uint64) {
	for _, n := range m.nodes {
		if n.runs && n.said.Rules < rules {
			return
		}
	}
	if rules <= 2 {
		m.rules = max(m.rules, rules)
	}
}

// ---- The whole result as text

// whole is the text of the model with its lists and nodes.
func (m *model) whole() string {
	text := strings.Builder{}
	text.WriteString(m.String())
	for _, a := range modelSortedKeys(m.used, netip.Addr.Compare) {
		fmt.Fprintf(&text, "list %s: %v since %d\n", a, m.used[a].list, m.used[a].version)
	}
	for _, address := range modelSortedKeys(m.nodes, netip.Addr.Compare) {
		n := m.nodes[address]
		fmt.Fprintf(&text, "node %s: %s, runs %t as %d, drained %t\n", address, n.Role, n.runs, n.incarnation, n.drained)
	}
	fmt.Fprintf(&text, "rules %d, lingering %v, front end %v\n", m.rules, modelSortedKeys(m.lingering, Incarnation.Compare), m.frontend)
	return text.String()
}
