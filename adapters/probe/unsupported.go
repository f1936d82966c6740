//go:build !linux

package probe

import "context"

// Run gives ErrSystem.
func Run(_ context.Context, o Options) (Result, error) {
	if _, err := o.withDefaults(); err != nil {
		return Result{}, err
	}
	return Result{}, ErrSystem
}
