package control

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"viplog/core/event"
	"viplog/core/ledger"
)

// Status is what a Service's status says of its addresses: the ingress list, and of the conditions those that are viplog's, sorted by type.
type Status struct {
	Ingress    []Ingress
	Conditions []Condition
}

// Ingress is one entry of status.loadBalancer.ingress.
type Ingress struct {
	IP       string
	Hostname string
	Mode     string // ipMode
}

// ipModeVIP says that packets reach a node with the address as their destination.
const ipModeVIP = "VIP"

// Condition is one of status.conditions.
type Condition struct {
	Type    string
	Status  string // True or False
	Reason  string // CamelCase
	Message string // for a person
	Since   int64  // lastTransitionTime, Unix seconds: when Status turned
}

// The types of the conditions that are viplog's.
const (
	ConditionAssigned  = "viplog/Assigned"
	ConditionAnnounced = "viplog/Announced"
)

// ConditionTypes are the types of the conditions that are viplog's, sorted.
var ConditionTypes = []string{ConditionAnnounced, ConditionAssigned}

const (
	conditionTrue  = "True"
	conditionFalse = "False"
)

// Equal tells whether writing b over a would change nothing.
func (a Status) Equal(b Status) bool {
	return slices.Equal(a.Ingress, b.Ingress) && slices.Equal(a.Conditions, b.Conditions)
}

// StatusOf says what a Service's status is to be, by the ledger and by what the Service shows now. A Service that has left, for another
// type or class, loses what viplog wrote; one that the ledger does not hold yet keeps what it shows, so that a log that was lost can
// adopt it, and so do all before there is a cluster. Asked again about what was written it says the same.
func StatusOf(s *ledger.State, source string, owners *Owners, v Service) Status {
	if _, configured := s.Cluster(); !configured {
		return v.Status
	}
	if !IsOurs(s, v) {
		return statusLeft(s, v)
	}
	key := v.Key()
	old, known := s.ServiceSpec(key)
	switch _, err := applied(s, source, v); {
	case known && old.Source != source:
		return v.Status
	case !known && err == nil:
		return v.Status
	case !known:
		return Status{Ingress: v.Status.Ingress, Conditions: conditions(s, v.Status,
			Condition{Type: ConditionAnnounced, Status: conditionFalse, Reason: "NoAddress", Message: "it has no address"},
			Condition{Type: ConditionAssigned, Status: conditionFalse, Reason: "Refused", Message: sentence(err.Error())})}
	}
	status := Status{}
	for _, a := range s.AddressesOf(key) {
		status.Ingress = append(status.Ingress, Ingress{IP: a.String(), Mode: ipModeVIP})
	}
	status.Conditions = conditions(s, v.Status, announced(s, owners, key), assigned(s, key))
	return status
}

// statusLeft takes viplog's conditions away, and the addresses that lie in its pools. Without such a condition nothing there is viplog's.
func statusLeft(s *ledger.State, v Service) Status {
	if len(v.Status.Conditions) == 0 {
		return v.Status
	}
	var others []Ingress
	for _, i := range v.Status.Ingress {
		a, err := netip.ParseAddr(i.IP)
		if _, ours := s.PoolOf(a); err != nil || !ours {
			others = append(others, i)
		}
	}
	return Status{Ingress: others}
}

// WhyIgnored says why a Service that asks for an address gets none, although nothing is wrong with what it asks for; "" if it asks for none, or is served.
func WhyIgnored(v Service) string {
	if cmp.Or(v.Type, TypeLoadBalancer) == TypeLoadBalancer {
		return ""
	}
	var asks []string
	for _, name := range slices.Concat(annotationsAddresses, annotationsPool, annotationsSharing) {
		if _, has := v.Annotations[name]; has {
			asks = append(asks, name)
		}
	}
	if v.LoadBalancerIP != "" {
		asks = append(asks, "spec.loadBalancerIP")
	}
	if len(asks) == 0 {
		return ""
	}
	return "only Services of type LoadBalancer have addresses, and this one is of type " + v.Type + ": " + strings.Join(asks, ", ") + " is not looked at"
}

// conditions gives each condition the time at which its status turned: as shown, where it is as it was.
func conditions(s *ledger.State, shown Status, want ...Condition) []Condition {
	for i, c := range want {
		want[i].Since = s.TimeNanos() / int64(time.Second)
		for _, old := range shown.Conditions {
			if old.Type == c.Type && old.Status == c.Status {
				want[i].Since = old.Since
			}
		}
		want[i].Message = clipped(c.Message, longestMessage)
	}
	return want
}

func assigned(s *ledger.State, key ledger.ServiceKey) Condition {
	view, _ := s.ServiceView(key)
	c := Condition{Type: ConditionAssigned, Status: conditionTrue, Reason: "Assigned"}
	if len(view.Addresses) == 0 {
		c.Status, c.Reason, c.Message = conditionFalse, "Waiting", sentence(view.Reason)
		return c
	}
	c.Message = strings.Join(view.Addresses, " and ") + " of pool " + view.Pool
	if spec, _ := s.ServiceSpec(key); len(view.Addresses) < len(spec.Families) && spec.FamilyPolicy != event.SingleStack && view.Owner != "" {
		c.Reason = "OneFamilyMissing"
		c.Message += "; " + view.Reason
	}
	return c
}

// announced says of each address who announces it, since when and who is next, or why nobody does. It is true if all are announced.
func announced(s *ledger.State, owners *Owners, key ledger.ServiceKey) Condition {
	c := Condition{Type: ConditionAnnounced, Status: conditionTrue, Reason: "Announced"}
	all := s.AddressesOf(key)
	if len(all) == 0 {
		c.Status, c.Reason, c.Message = conditionFalse, "NoAddress", "it has no address"
		return c
	}
	var texts []string
	for _, a := range all {
		view, _ := s.AddressView(a)
		if view.Owner == "" {
			c.Status, c.Reason = conditionFalse, "NobodyAnnounces"
			texts = append(texts, a.String()+": "+view.Reason)
			continue
		}
		text := a.String() + " by " + view.Owner
		if since := owners.Since(a); since > 0 {
			text += " since " + time.Unix(0, since).UTC().Format(time.RFC3339)
		}
		text += ", " + standbys(view.Standbys)
		if view.Reason != "" {
			text += "; " + view.Reason
			if c.Status == conditionTrue {
				c.Reason = "InConflict"
			}
		}
		texts = append(texts, text)
	}
	c.Message = strings.Join(texts, "; ")
	return c
}

func standbys(names []string) string {
	if len(names) == 0 {
		return "without a standby"
	}
	return "then " + strings.Join(names, ", ")
}

// sentence is a reason that stands alone.
func sentence(reason string) string { return cmp.Or(reason, "no reason is known") }

const longestMessage = 4096 // bytes; the API allows 32768

// Clip cuts a text to what the API takes as the note of an Event.
func Clip(note string) string { return clipped(note, longestNote) }

// clipped cuts a text after whole characters.
func clipped(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	const cut = "…"
	return strings.ToValidUTF8(text[:longest-len(cut)], "") + cut
}
