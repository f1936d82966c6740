package event

import (
	"errors"
	"fmt"
	"net/netip"
)

// MaxRouterID and MaxVRRPPriority bound what VRRP knows (RFC 9568, section 5.2); each is from 1. Priority 255 is for who owns the address for good.
const (
	MaxRouterID     = 255
	MaxVRRPPriority = 254
)

// FrontendSettings say what else is on the segment of the control plane's VIP.
type FrontendSettings struct {
	RouterID       int   `json:"routerID,omitempty"`       // 0: viplog chooses one
	OtherRouterIDs []int `json:"otherRouterIDs,omitempty"` // that others have
}

func (s FrontendSettings) isZero() bool { return s.RouterID == 0 && len(s.OtherRouterIDs) == 0 }

// check holds the bounds, and that no one else has what is asked for.
func (s FrontendSettings) check() error {
	var errs []error
	if s.RouterID < 0 || s.RouterID > MaxRouterID {
		errs = append(errs, fmt.Errorf("frontend.routerID: %w: %d, from 1 to %d is right", ErrInvalid, s.RouterID, MaxRouterID))
	}
	for i, id := range s.OtherRouterIDs {
		field := fmt.Sprintf("frontend.otherRouterIDs[%d]", i)
		switch {
		case id < 1 || id > MaxRouterID:
			errs = append(errs, fmt.Errorf("%s: %w: %d, from 1 to %d is right", field, ErrInvalid, id, MaxRouterID))
		case id == s.RouterID:
			errs = append(errs, fmt.Errorf("%s: %w: %d is frontend.routerID: two routers of one id take each other's addresses", field, ErrInvalid, id))
		}
	}
	return errors.Join(errs...)
}

// FrontendAssigned gives the control plane's front end its VRRP router id, and each node that carries the VIP its priority. They are remembered,
// so that they stay when other nodes come and go.
type FrontendAssigned struct {
	RouterID   int                `json:"routerID"`
	Priorities []FrontendPriority `json:"priorities"` // by address
}

// FrontendPriority is a node's.
type FrontendPriority struct {
	Address  netip.Addr `json:"address"`
	Priority int        `json:"priority"`
}

func (FrontendAssigned) isEvent() {}

// Entity is the one front end.
func (FrontendAssigned) Entity() string { return entity(kindFrontend) }

// Check holds what VRRP demands, and that no two nodes have one priority.
func (e FrontendAssigned) Check() error {
	var errs []error
	if e.RouterID < 1 || e.RouterID > MaxRouterID {
		errs = append(errs, fmt.Errorf("routerID: %w: %d, from 1 to %d is right", ErrInvalid, e.RouterID, MaxRouterID))
	}
	if len(e.Priorities) == 0 {
		errs = append(errs, fmt.Errorf("priorities: %w: at least one node is required", ErrInvalid))
	}
	has := map[int]netip.Addr{}
	for i, p := range e.Priorities {
		field := fmt.Sprintf("priorities[%d]", i)
		errs = append(errs, checkAddress(field+".address", p.Address))
		if p.Priority < 1 || p.Priority > MaxVRRPPriority {
			errs = append(errs, fmt.Errorf("%s.priority: %w: %d, from 1 to %d is right", field, ErrInvalid, p.Priority, MaxVRRPPriority))
		}
		if other, taken := has[p.Priority]; taken {
			errs = append(errs, fmt.Errorf("%s.priority: %w: %d is that of %s: of two equal ones neither yields", field, ErrInvalid, p.Priority, other))
		}
		has[p.Priority] = p.Address
		if i > 0 && p.Address.Compare(e.Priorities[i-1].Address) <= 0 {
			errs = append(errs, fmt.Errorf("%s.address: %w: %s, addresses ascend and each is there once", field, ErrInvalid, p.Address))
		}
	}
	return errors.Join(errs...)
}
