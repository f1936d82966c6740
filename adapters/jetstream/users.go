package jetstream

import (
	"errors"
	"fmt"
	"slices"
)

// SetUsers says who may connect from now on, all of them. Connections of those who may not any more, or have other rights now, are
// closed; the others go on. A server that began without users stays open to all, and one with users cannot become it.
func (s *Server) SetUsers(users []User) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.options.Users) == 0 || len(users) == 0 {
		return errors.New("set the NATS server's users: some are needed, at its start too")
	}
	next := s.options
	next.Users = slices.Clone(users)
	options, err := next.natsOptions(s.password)
	if err != nil {
		return err
	}
	if err := s.server.ReloadOptions(options); err != nil {
		return fmt.Errorf("set the NATS server's users: %w", err)
	}
	s.options = next
	return nil
}
