package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"viplog/adapters/jetstream"
	"viplog/core/ledger"
)

// completionPatience bounds how long a shell waits for names.
const completionPatience = 2 * time.Second

type completion func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// completeFrom completes a command's only argument by names that the ledger holds now.
func completeFrom(from *reader, names func(*ledger.State) []string) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return from.names(cmd.Context(), names), cobra.ShellCompDirectiveNoFileComp
	}
}

// completeSubjects completes a kind of thing and the name of one.
func completeSubjects(from *reader) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		var names []string
		switch len(args) {
		case 0:
			names = subjectKinds
		case 1:
			names = from.names(cmd.Context(), namesOf[args[0]])
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// namesOf lists the names of each kind of thing.
var namesOf = map[string]func(*ledger.State) []string{
	"service": func(s *ledger.State) (names []string) {
		for _, v := range s.ServiceViews() {
			names = append(names, v.Namespace+"/"+v.Name)
		}
		return names
	},
	"address": addressesInUse,
	"node": func(s *ledger.State) (names []string) {
		for _, n := range s.NodeViews(nil) {
			names = append(names, n.Name)
		}
		return names
	},
	"pool": func(s *ledger.State) (names []string) {
		for _, p := range s.PoolViews() {
			names = append(names, p.Name)
		}
		return names
	},
}

func addressesInUse(s *ledger.State) (names []string) {
	for _, a := range s.AddressViews() {
		names = append(names, a.Address)
	}
	return names
}

// names asks the ledger; none if it cannot be reached in time.
func (r *reader) names(ctx context.Context, list func(*ledger.State) []string) []string {
	if list == nil {
		return nil
	}
	bounded, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	s, err := r.fold(bounded, moment{}, nil)
	if err != nil {
		return nil
	}
	return list(s)
}

// completeClusters completes the names of clusters that have a log on the server.
func (f *clientFlags) completeClusters(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	bounded, cancel := context.WithTimeout(cmd.Context(), completionPatience)
	defer cancel()
	conn, err := f.dial()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer conn.Close()
	names, err := jetstream.Clusters(bounded, conn)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
