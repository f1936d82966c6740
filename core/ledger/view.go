package ledger

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"viplog/core/event"
	"viplog/core/ipset"
)

// The views below are what the CLI, its json and the web page show of a ledger: one row type for all of them. Lists
// are never nil and absent texts are "", so that every key is always there.

// ServiceView is one Service. Owner and Standbys are those of its first address.
type ServiceView struct {
	Namespace string   `json:"namespace"`
	Name      string   `json:"name"`
	Addresses []string `json:"addresses"`
	Pool      string   `json:"pool"`
	State     string   `json:"state"` // assigned, waiting
	Reason    string   `json:"reason"`
	Owner     string   `json:"owner"`
	Standbys  []string `json:"standbys"`
}

// AddressView is one address in use.
type AddressView struct {
	Address  string   `json:"address"`
	Pool     string   `json:"pool"`
	Services []string `json:"services"`
	Owner    string   `json:"owner"`
	Standbys []string `json:"standbys"`
	Version  uint64   `json:"version"` // the sequence of the fact that last changed owner or standbys
	Reason   string   `json:"reason"`
}

// PoolView is one pool. Capacity = assigned + cooling + reserved + available, but for addresses that were given before
// the pool avoided them. Reserved are the ingressVIP and what nobody uses because of a conflict.
type PoolView struct {
	Name      string      `json:"name"`
	Addresses []string    `json:"addresses"`
	Capacity  ipset.Count `json:"capacity"`
	Assigned  int         `json:"assigned"`
	Cooling   int         `json:"cooling"`
	Reserved  int         `json:"reserved"`
	Available ipset.Count `json:"available"`
}

// NodeView is one declared node. Sequence and Digest are those of its own replica, where known.
type NodeView struct {
	Name        string   `json:"name"`
	Address     string   `json:"address"`
	Roles       []string `json:"roles"`
	State       string   `json:"state"` // declared, joined, drained, left, failed
	Incarnation uint64   `json:"incarnation"`
	Sequence    uint64   `json:"sequence"`
	Digest      string   `json:"digest"`
	Addresses   []string `json:"addresses"` // those that it owns
}

// Progress is how far a replica has folded.
type Progress struct {
	Sequence uint64
	Digest   string
}

// ServiceViews lists the Services by namespace and name.
func (s *State) ServiceViews() []ServiceView {
	views := make([]ServiceView, 0, s.services.len())
	s.services.scan(func(v *service) bool {
		views = append(views, s.viewService(v))
		return true
	})
	slices.SortStableFunc(views, func(a, b ServiceView) int {
		return cmp.Or(CompareNames(a.Namespace, b.Namespace), CompareNames(a.Name, b.Name))
	})
	return views
}

func (s *State) viewService(v *service) ServiceView {
	view := ServiceView{
		Namespace: v.key.Namespace, Name: v.key.Name, State: "waiting",
		Addresses: []string{}, Standbys: []string{},
	}
	if len(v.addresses) == 0 {
		if _, refused := s.choose(v); refused != nil {
			view.Reason = refused.String()
		}
		return view
	}
	for _, a := range v.addresses {
		view.Addresses = append(view.Addresses, a.String())
	}
	a, _ := s.addressOf(v.addresses[0])
	view.State, view.Pool = "assigned", a.pool
	view.Owner, view.Standbys = s.ownerAndStandbys(a)
	view.Reason = s.whyUnowned(a)
	if view.Reason == "" && len(v.addresses) < len(v.wants()) {
		if _, refused := s.grown(v); refused != nil {
			view.Reason = "one family is missing: " + refused.String()
		}
	}
	return view
}

// AddressViews lists the addresses in use, in their order.
func (s *State) AddressViews() []AddressView {
	views := make([]AddressView, 0, s.addresses.len())
	s.addresses.scan(func(a *address) bool {
		views = append(views, s.viewAddress(a))
		return true
	})
	return views
}

func (s *State) viewAddress(a *address) AddressView {
	view := AddressView{Address: a.addr.String(), Pool: a.pool, Version: a.version, Services: []string{}}
	for _, key := range a.users {
		view.Services = append(view.Services, key.String())
	}
	view.Owner, view.Standbys = s.ownerAndStandbys(a)
	view.Reason = s.whyUnowned(a)
	if c, disputed := s.inConflict(a.addr); disputed && view.Reason == "" {
		view.Reason = c.String()
	}
	return view
}

// ServiceView is that of one Service; false if there is none of that name.
func (s *State) ServiceView(key ServiceKey) (ServiceView, bool) {
	v, ok := s.service(key)
	if !ok {
		return ServiceView{}, false
	}
	return s.viewService(v), true
}

// AddressView is that of one address; false if it is not in use.
func (s *State) AddressView(a netip.Addr) (AddressView, bool) {
	used, ok := s.addressOf(a)
	if !ok {
		return AddressView{}, false
	}
	return s.viewAddress(used), true
}

func (s *State) ownerAndStandbys(a *address) (owner string, standbys []string) {
	standbys = []string{}
	for i, m := range a.list {
		if i == 0 {
			owner = s.describe(m.Node)
		} else {
			standbys = append(standbys, s.describe(m.Node))
		}
	}
	return owner, standbys
}

// whyUnowned says of an address without an owner what keeps each node from it.
func (s *State) whyUnowned(a *address) string {
	if len(a.list) > 0 {
		return ""
	}
	var whys []string
	for _, n := range s.nodes.rows {
		if n.role == s.announcingRole() {
			_, why := s.isCandidate(n, a)
			whys = append(whys, s.describe(n.address)+" "+why)
		}
	}
	if len(whys) == 0 {
		return "no owner: " + reasonNoAnnouncingNode
	}
	slices.SortFunc(whys, CompareNames)
	return "no owner: " + strings.Join(whys, "; ")
}

// PoolViews lists the pools by name.
func (s *State) PoolViews() []PoolView {
	assigned := map[string]int{}
	s.addresses.scan(func(a *address) bool {
		assigned[a.pool]++
		return true
	})
	views := make([]PoolView, 0, len(s.pools.rows))
	for _, p := range s.pools.rows {
		view := PoolView{
			Name: p.name, Addresses: slices.Clone(p.spec.Addresses),
			Capacity: p.capacity, Assigned: assigned[p.name], Available: s.freeOf(p), Cooling: s.coolingOf(p.name),
		}
		if s.cluster != nil && s.isReserved(s.cluster.IngressVIP) {
			r, _ := s.rangeOf(s.cluster.IngressVIP)
			if _, used := s.addressOf(s.cluster.IngressVIP); r.pool == p.name && !used {
				view.Reserved = 1
			}
		}
		view.Reserved += s.disputedOf(p)
		views = append(views, view)
	}
	slices.SortStableFunc(views, func(a, b PoolView) int { return CompareNames(a.Name, b.Name) })
	return views
}

// coolingOf counts what cools of a pool.
func (s *State) coolingOf(pool string) (n int) {
	s.coolest.Ascend(cooled{pool: pool}, func(c cooled) bool {
		if c.pool != pool {
			return false
		}
		n++
		return true
	})
	return n
}

// NodeViews lists the declared nodes by name; replicas says how far each has folded.
func (s *State) NodeViews(replicas map[netip.Addr]Progress) []NodeView {
	owned := map[netip.Addr][]netip.Addr{}
	s.addresses.scan(func(a *address) bool {
		if len(a.list) > 0 {
			owned[a.list[0].Node] = append(owned[a.list[0].Node], a.addr)
		}
		return true
	})
	views := make([]NodeView, 0, len(s.nodes.rows))
	for _, n := range s.nodes.rows {
		progress := replicas[n.address]
		view := NodeView{
			Name: s.describe(n.address), Address: n.address.String(), Roles: s.rolesOf(n),
			State: n.status.String(), Incarnation: n.incarnation,
			Sequence: progress.Sequence, Digest: progress.Digest, Addresses: []string{},
		}
		if n.drained && n.status == nodeJoined {
			view.State = "drained"
		}
		for _, a := range owned[n.address] {
			view.Addresses = append(view.Addresses, a.String())
		}
		views = append(views, view)
	}
	slices.SortStableFunc(views, func(a, b NodeView) int { return CompareNames(a.Name, b.Name) })
	return views
}

// rolesOf are the roles of a host: who announces, who controls, who votes.
func (s *State) rolesOf(n *node) []string {
	roles := []string{}
	if n.role == event.RoleControlPlane {
		roles = append(roles, "controller")
	}
	if n.role == s.announcingRole() {
		roles = append(roles, "node")
	}
	if slices.ContainsFunc(s.voters.now.members, func(v voter) bool { return v.address == n.address }) {
		roles = append(roles, "voter")
	}
	return roles
}

// NodeNamed finds a declared node by its name or address.
func (s *State) NodeNamed(name string) (NodeIdentity, bool) {
	for _, n := range s.nodes.rows {
		if n.name == name || n.address.String() == name {
			return s.identity(n), true
		}
	}
	return NodeIdentity{}, false
}

// Nodes lists the declared nodes in the order of their addresses.
func (s *State) Nodes() []NodeIdentity {
	all := make([]NodeIdentity, 0, len(s.nodes.rows))
	for _, n := range s.nodes.rows {
		all = append(all, s.identity(n))
	}
	return all
}

// NodeIdentity is what other facts need to name a node.
type NodeIdentity struct {
	Address     netip.Addr
	Name        string
	Role        string
	Incarnation uint64
	Joined      bool // its incarnation runs: it has neither left nor failed
	Drained     bool
	Announces   bool // its role is the one that announces addresses
}

func (s *State) identity(n *node) NodeIdentity {
	return NodeIdentity{
		Address: n.address, Name: s.describe(n.address), Role: n.role, Incarnation: n.incarnation,
		Joined: n.status == nodeJoined, Drained: n.drained, Announces: n.role == s.announcingRole(),
	}
}

// CompareNames orders names with their numbers as numbers: lb-2 before lb-10.
func CompareNames(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		p, q := leading(x), leading(y)
		if m, err := strconv.ParseUint(p, 10, 64); err == nil {
			if n, err := strconv.ParseUint(q, 10, 64); err == nil && m != n {
				return cmp.Compare(m, n)
			}
		}
		if c := strings.Compare(p, q); c != 0 {
			return c
		}
		x, y = x[len(p):], y[len(q):]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// leading is the run of digits, or of anything else, with which a name begins.
func leading(name string) string {
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	n := 1
	for n < len(name) && digit(name[n]) == digit(name[0]) {
		n++
	}
	return name[:n]
}

// TableHeader names the columns of a table of Services.
func (ServiceView) TableHeader(wide bool) []string {
	if wide {
		return []string{"NAMESPACE", "NAME", "ADDRESSES", "POOL", "STATE", "OWNER", "STANDBYS", "REASON"}
	}
	return []string{"NAMESPACE", "NAME", "ADDRESSES", "OWNER", "STANDBYS", "REASON"}
}

// TableRow is one row under TableHeader.
func (v ServiceView) TableRow(wide bool) []string {
	row := []string{v.Namespace, v.Name, strings.Join(v.Addresses, ",")}
	if wide {
		row = append(row, v.Pool, v.State)
	}
	return append(row, v.Owner, strings.Join(v.Standbys, ","), v.Reason)
}

// TableHeader names the columns of a table of addresses.
func (AddressView) TableHeader(wide bool) []string {
	header := []string{"ADDRESS", "SERVICES", "OWNER", "STANDBYS"}
	if wide {
		header = append(header, "POOL", "VERSION")
	}
	return append(header, "REASON")
}

// TableRow is one row under TableHeader.
func (v AddressView) TableRow(wide bool) []string {
	row := []string{v.Address, strings.Join(v.Services, ","), v.Owner, strings.Join(v.Standbys, ",")}
	if wide {
		row = append(row, v.Pool, strconv.FormatUint(v.Version, 10))
	}
	return append(row, v.Reason)
}

// TableHeader names the columns of a table of pools.
func (PoolView) TableHeader(wide bool) []string {
	header := []string{"POOL", "CAPACITY", "ASSIGNED", "COOLING", "RESERVED", "AVAILABLE"}
	if wide {
		header = append(header, "ADDRESSES")
	}
	return header
}

// TableRow is one row under TableHeader.
func (v PoolView) TableRow(wide bool) []string {
	row := []string{
		v.Name, v.Capacity.String(), strconv.Itoa(v.Assigned), strconv.Itoa(v.Cooling),
		strconv.Itoa(v.Reserved), v.Available.String(),
	}
	if wide {
		row = append(row, strings.Join(v.Addresses, ","))
	}
	return row
}

// TableHeader names the columns of a table of nodes.
func (NodeView) TableHeader(wide bool) []string {
	header := []string{"NODE", "ADDRESS", "ROLES", "STATE", "OWNS"}
	if wide {
		header = append(header, "INCARNATION", "SEQUENCE", "DIGEST")
	}
	return header
}

// TableRow is one row under TableHeader.
func (v NodeView) TableRow(wide bool) []string {
	row := []string{v.Name, v.Address, strings.Join(v.Roles, ","), v.State, strconv.Itoa(len(v.Addresses))}
	if wide {
		row = append(row, fmt.Sprint(v.Incarnation), fmt.Sprint(v.Sequence), v.Digest)
	}
	return row
}
