package main

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"viplog/adapters/dataplane"
)

// dataPlaneFlags say what a node waits for before it announces a new address.
type dataPlaneFlags struct{ mode, healthz string }

var dataPlaneModes = []string{dataplane.ModeAuto, dataplane.ModeKubeProxy, dataplane.ModeNone}

func (f *dataPlaneFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.mode, "data-plane", dataplane.ModeAuto,
		"what serves a new address before it is announced: kube-proxy; none; auto: kube-proxy, if its health answers")
	cmd.Flags().StringVar(&f.healthz, "kube-proxy-healthz", dataplane.DefaultHealthz, "host and port where kube-proxy answers /healthz")
	_ = cmd.RegisterFlagCompletionFunc("data-plane", cobra.FixedCompletions(dataPlaneModes, cobra.ShellCompDirectiveNoFileComp))
}

// args are the flags of an agent that does as these say. Those that are what an agent takes anyway are left out.
func (f *dataPlaneFlags) args() (all []string) {
	if f.mode != dataplane.ModeAuto {
		all = append(all, "--data-plane="+f.mode)
	}
	if f.healthz != dataplane.DefaultHealthz {
		all = append(all, "--kube-proxy-healthz="+f.healthz)
	}
	return all
}

func (f *dataPlaneFlags) check() error {
	if !slices.Contains(dataPlaneModes, f.mode) {
		return fmt.Errorf("--data-plane %q is unknown; use one of %s", f.mode, strings.Join(dataPlaneModes, ", "))
	}
	if _, _, err := net.SplitHostPort(f.healthz); err != nil {
		return fmt.Errorf("--kube-proxy-healthz %q: HOST:PORT is needed, like %s", f.healthz, dataplane.DefaultHealthz)
	}
	return nil
}
