package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"viplog/adapters/staticpod"
)

// frontendFlags are what a host's operator says of the control plane's front end.
type frontendFlags struct {
	keepalived, haproxy string
	mirrors             []string
	monitorPort         uint16
	manifests, config   string
	run                 string
}

func (f *frontendFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.keepalived, "keepalived-image", "", "image of the control plane's Keepalived: 2.2.7 or newer, with sh, and curl, wget or bash")
	cmd.Flags().StringVar(&f.haproxy, "haproxy-image", "", "image of the control plane's HAProxy: 2.6 or newer")
	cmd.Flags().StringSliceVar(&f.mirrors, "image-mirror", nil, "REGISTRY=MIRROR: where images of a registry come from instead")
	cmd.Flags().Uint16Var(&f.monitorPort, "monitor-port", staticpod.DefaultMonitorPort, "of 127.0.0.1, where HAProxy tells of its health")
	cmd.Flags().StringVar(&f.manifests, "manifests-dir", staticpod.DefaultManifestFolder, "the kubelet's folder of static Pods")
	cmd.Flags().StringVar(&f.config, "frontend-dir", staticpod.DefaultConfigFolder, "folder for Keepalived's and HAProxy's configurations")
	cmd.Flags().StringVar(&f.run, "frontend-run-dir", staticpod.DefaultRunFolder, "folder for their sockets")
	for _, folder := range []string{"manifests-dir", "frontend-dir", "frontend-run-dir"} {
		_ = cmd.MarkFlagDirname(folder)
	}
}

// args are the flags of an agent that keeps what these say. Those that are what an agent takes anyway are left out.
func (f *frontendFlags) args() []string {
	all := []string{"--keepalived-image=" + f.keepalived, "--haproxy-image=" + f.haproxy}
	for _, m := range f.mirrors {
		all = append(all, "--image-mirror="+m)
	}
	if f.monitorPort != staticpod.DefaultMonitorPort {
		all = append(all, fmt.Sprintf("--monitor-port=%d", f.monitorPort))
	}
	for _, path := range []struct{ flag, value, usual string }{
		{"manifests-dir", f.manifests, staticpod.DefaultManifestFolder},
		{"frontend-dir", f.config, staticpod.DefaultConfigFolder},
		{"frontend-run-dir", f.run, staticpod.DefaultRunFolder},
	} {
		if path.value != path.usual {
			all = append(all, "--"+path.flag+"="+path.value)
		}
	}
	return all
}

var errOneImage = errors.New("--keepalived-image and --haproxy-image: both are needed, or neither")

// options are those of staticpod; wanted is false without images: then nobody keeps a front end here.
func (f *frontendFlags) options() (o staticpod.Options, wanted bool, err error) {
	if (f.keepalived == "") != (f.haproxy == "") {
		return o, false, errOneImage
	}
	o = staticpod.Options{
		Keepalived: f.keepalived, HAProxy: f.haproxy, MonitorPort: f.monitorPort,
		ManifestFolder: f.manifests, ConfigFolder: f.config, RunFolder: f.run,
	}
	for _, text := range f.mirrors {
		of, at, found := strings.Cut(text, "=")
		if !found || of == "" || at == "" {
			return o, false, fmt.Errorf("--image-mirror %q: REGISTRY=MIRROR is right, like registry.example.com=10.0.0.9:5000/mirror", text)
		}
		o.Mirrors = append(o.Mirrors, staticpod.Mirror{Of: of, At: at})
	}
	return o, f.keepalived != "", nil
}
