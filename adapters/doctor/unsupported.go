//go:build !linux

package doctor

import "context"

// Examine gives ErrSystem.
func Examine(context.Context, Facts, func(string)) ([]Finding, error) { return nil, ErrSystem }
