//go:build !linux

package staticpod

import (
	"errors"
	"net/netip"
)

// System is for Linux.
type System struct{}

// SpeaksVRRP fails.
func (System) SpeaksVRRP() (bool, error) { return false, errors.ErrUnsupported }

// TakeOff fails.
func (System) TakeOff(netip.Addr) ([]string, error) { return nil, errors.ErrUnsupported }

// Find fails.
func Find(netip.Addr) (Local, error) { return Local{}, errors.ErrUnsupported }
