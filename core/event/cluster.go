package event

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
)

// Roles that the cluster file gives a node: the node pool that declares it.
const (
	RoleControlPlane = "controlPlane"
	RoleLoadBalancer = "loadBalancer"
)

// DeclaredNode is a host of the cluster file. Address is its identity: k8sIP where given, else address.
type DeclaredNode struct {
	Address netip.Addr `json:"address"`
	Role    string     `json:"role"`
}

// ClusterConfigured says what the cluster file declares, except its pools, which are facts of their own. Only a
// bundled layer-2 cluster becomes a fact.
type ClusterConfigured struct {
	Name                 string         `json:"name"`
	ClusterType          string         `json:"clusterType"`
	Nodes                []DeclaredNode `json:"nodes"`
	ControlPlaneVIP      netip.Addr     `json:"controlPlaneVIP"`
	ControlPlaneLBPort   uint16         `json:"controlPlaneLBPort"`
	ControlPlaneLBMode   string         `json:"controlPlaneLBMode,omitempty"`
	IngressVIP           netip.Addr     `json:"ingressVIP,omitzero"`
	PodCIDRs             []netip.Prefix `json:"podCIDRs,omitempty"`
	ServiceCIDRs         []netip.Prefix `json:"serviceCIDRs"`
	VRRPGARPMasterRepeat int            `json:"vrrpGARPMasterRepeat,omitempty"`
}

func (ClusterConfigured) isEvent() {}

// Entity is the cluster: a log holds one.
func (ClusterConfigured) Entity() string { return entity(kindCluster) }

// Check holds what cannot be a cluster file's content.
func (e ClusterConfigured) Check() error {
	errs := []error{checkName("name", e.Name), checkAddress("controlPlaneVIP", e.ControlPlaneVIP)}
	for i, n := range e.Nodes {
		errs = append(errs,
			checkAddress(fmt.Sprintf("nodes[%d].address", i), n.Address),
			checkOneOf(fmt.Sprintf("nodes[%d].role", i), n.Role, RoleControlPlane, RoleLoadBalancer))
	}
	if len(e.Nodes) == 0 {
		errs = append(errs, fmt.Errorf("nodes: %w: at least one node is required", ErrInvalid))
	}
	if len(e.Nodes) > MaxNodes {
		errs = append(errs, fmt.Errorf("nodes: %w: %d nodes, at most %d are allowed", ErrInvalid, len(e.Nodes), MaxNodes))
	}
	if e.IngressVIP.IsValid() {
		errs = append(errs, checkAddress("ingressVIP", e.IngressVIP))
	}
	for i, p := range e.ServiceCIDRs {
		errs = append(errs, checkPrefix(fmt.Sprintf("serviceCIDRs[%d]", i), p))
	}
	for i, p := range e.PodCIDRs {
		errs = append(errs, checkPrefix(fmt.Sprintf("podCIDRs[%d]", i), p))
	}
	return errors.Join(errs...)
}

// MaxNodes is the most nodes that a cluster may declare.
const MaxNodes = 128

// Profiles of lease timing, and what a node does when it cannot renew its lease.
const (
	ProfileFast    = "fast"
	ProfileDefault = "default"
	ProfileRelaxed = "relaxed"

	OnIsolationHold  = "hold"
	OnIsolationYield = "yield"
)

// What an edit or removal of a pool does to live addresses.
const (
	OnEditRefuse = "refuse"
	OnEditDrain  = "drain"
	OnEditEvict  = "evict"
)

// DefaultIngressService is the Service that gets the ingressVIP unasked.
const DefaultIngressService = "gke-system/istio-ingress"

// SettingsChanged replaces all settings of viplog's own (the Settings document of the cluster file). Every field
// holds its effective value: defaults are filled in by DefaultSettings before the fact is made.
type SettingsChanged struct {
	Profile            string         `json:"profile"`
	OnIsolation        string         `json:"onIsolation"`
	Voters             []netip.Addr   `json:"voters,omitempty"`
	IngressService     string         `json:"ingressService"`
	LoadBalancerClass  string         `json:"loadBalancerClass,omitempty"`
	ExcludeTaints      []string       `json:"excludeTaints,omitempty"`
	IgnoreExcludeLabel bool           `json:"ignoreExcludeLabel,omitempty"`
	Subnets            []Subnet       `json:"subnets,omitempty"`
	Pools              []PoolSettings `json:"pools,omitempty"`
	// Frontend takes rules 2 where it is given.
	Frontend FrontendSettings `json:"frontend,omitzero"`
}

// Subnet is a layer-2 segment that the operator declared.
type Subnet struct {
	Prefix    netip.Prefix `json:"prefix"`
	Gateway   netip.Addr   `json:"gateway,omitzero"`
	Interface string       `json:"interface,omitempty"`
}

// PoolSettings refines one pool of the cluster file.
type PoolSettings struct {
	Name               string         `json:"name"`
	Priority           int            `json:"priority,omitempty"`
	Namespaces         []string       `json:"namespaces,omitempty"`
	NamespaceSelectors []Selector     `json:"namespaceSelectors,omitempty"`
	ServiceSelectors   []Selector     `json:"serviceSelectors,omitempty"`
	Exclude            []string       `json:"exclude,omitempty"`
	QuotaPerNamespace  int            `json:"quotaPerNamespace,omitempty"`
	CooldownSeconds    *int64         `json:"cooldownSeconds,omitempty"`
	OnEdit             string         `json:"onEdit,omitempty"`
	Announce           []AnnounceRule `json:"announce,omitempty"`
}

// AnnounceRule narrows and orders the nodes that may announce a pool's addresses.
type AnnounceRule struct {
	NodeSelectors    []Selector     `json:"nodeSelectors,omitempty"`
	Interfaces       []string       `json:"interfaces,omitempty"`
	ServiceSelectors []Selector     `json:"serviceSelectors,omitempty"`
	Preferred        []WeightedRule `json:"preferred,omitempty"`
}

// WeightedRule prefers nodes that match, by weight 1 to 100.
type WeightedRule struct {
	Weight       int      `json:"weight"`
	NodeSelector Selector `json:"nodeSelector"`
}

// Selector is a Kubernetes label selector.
type Selector struct {
	MatchLabels      []Label             `json:"matchLabels,omitempty"`
	MatchExpressions []SelectorCondition `json:"matchExpressions,omitempty"`
}

// SelectorCondition is one expression of a label selector: In, NotIn, Exists or DoesNotExist.
type SelectorCondition struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// Label is one label; lists of labels are sorted by key.
type Label struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// DefaultSettings is what holds where no Settings document says otherwise.
func DefaultSettings() SettingsChanged {
	return SettingsChanged{
		Profile:        ProfileDefault,
		OnIsolation:    OnIsolationHold,
		IngressService: DefaultIngressService,
	}
}

func (SettingsChanged) isEvent() {}

// Entity is the one set of settings.
func (SettingsChanged) Entity() string { return entity(kindSettings) }

// Check holds the enumerations and the addresses.
func (e SettingsChanged) Check() error {
	errs := []error{
		checkOneOf("profile", e.Profile, ProfileFast, ProfileDefault, ProfileRelaxed),
		checkOneOf("onIsolation", e.OnIsolation, OnIsolationHold, OnIsolationYield),
		checkName("ingressService", e.IngressService),
		e.Frontend.check(),
	}
	for i, v := range e.Voters {
		errs = append(errs, checkAddress(fmt.Sprintf("voters[%d]", i), v))
	}
	for i, s := range e.Subnets {
		errs = append(errs, checkPrefix(fmt.Sprintf("subnets[%d].prefix", i), s.Prefix))
	}
	for i, p := range e.Pools {
		field := fmt.Sprintf("pools[%d]", i)
		errs = append(errs, checkName(field+".name", p.Name))
		errs = append(errs, checkOneOf(field+".onEdit", cmp.Or(p.OnEdit, OnEditRefuse), OnEditRefuse, OnEditDrain, OnEditEvict))
	}
	return errors.Join(errs...)
}

func checkPrefix(field string, p netip.Prefix) error {
	switch {
	case !p.IsValid():
		return fmt.Errorf("%s: %w: a prefix like 10.0.0.0/24 is required", field, ErrInvalid)
	case p != p.Masked():
		return fmt.Errorf("%s: %w: %s has host bits; write %s", field, ErrInvalid, p, p.Masked())
	}
	return checkAddress(field, p.Addr())
}

// PoolAdded declares a pool. Addresses holds ranges "a-b", CIDRs and single addresses as the operator wrote them.
type PoolAdded struct {
	Pool
}

// PoolEdited replaces a pool's definition.
type PoolEdited struct {
	Pool
}

// Pool is a pool's definition in the cluster file.
type Pool struct {
	Name          string   `json:"name"`
	Addresses     []string `json:"addresses"`
	AvoidBuggyIPs bool     `json:"avoidBuggyIPs,omitempty"`
	ManualAssign  bool     `json:"manualAssign,omitempty"`
}

// PoolRemoved says that the operator dropped a pool.
type PoolRemoved struct {
	Name string `json:"name"`
}

func (PoolAdded) isEvent()   {}
func (PoolEdited) isEvent()  {}
func (PoolRemoved) isEvent() {}

// Entity is the pool.
func (p Pool) Entity() string { return entity(kindPool, p.Name) }

// Entity is the pool.
func (e PoolRemoved) Entity() string { return entity(kindPool, e.Name) }

// Check parses every range.
func (p Pool) Check() error {
	errs := []error{checkName("name", p.Name)}
	if len(p.Addresses) == 0 {
		errs = append(errs, fmt.Errorf("addresses: %w: at least one range is required", ErrInvalid))
	}
	for i, text := range p.Addresses {
		if _, err := ParseRange(text); err != nil {
			errs = append(errs, fmt.Errorf("addresses[%d]: %w: %w", i, ErrInvalid, err))
		}
	}
	return errors.Join(errs...)
}

// Check wants a name.
func (e PoolRemoved) Check() error { return checkName("name", e.Name) }
