package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/kubernetes"
	"k8s.io/klog/v2"

	"viplog/adapters/clusterfile"
	"viplog/adapters/kube"
	"viplog/adapters/replica"
	"viplog/core/control"
)

// kubeFlags say which Kubernetes cluster a controller serves.
type kubeFlags struct {
	inCluster  bool
	kubeconfig string
	namespace  string
	configMap  string
	label      bool
}

func (f *kubeFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.inCluster, "kube", false, "a controller serves the Kubernetes cluster in which it runs, by its Pod's service account")
	cmd.Flags().StringVar(&f.kubeconfig, "kubeconfig", "", "a controller serves the Kubernetes cluster that this file names")
	cmd.Flags().StringVar(&f.namespace, "kube-namespace", "", "namespace of viplog's Lease and ConfigMap (default: the Pod's, else "+kubeNamespace+")")
	cmd.Flags().StringVar(&f.configMap, "cluster-configmap", "", "ConfigMap whose key cluster.yaml is the cluster file: it is applied, now and whenever it changes")
	cmd.Flags().BoolVar(&f.label, "lbnode-label", true, "give the nodes that announce addresses the label "+control.LabelLoadBalancerNode)
	_ = cmd.MarkFlagFilename("kubeconfig")
	for _, name := range []string{"kube-namespace", "cluster-configmap"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
}

// kubeNamespace is where viplog's own objects are, where nothing says otherwise.
const kubeNamespace = defaultNamespace

// podNamespace is where Kubernetes tells a Pod its namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// kubeOptions are kubeFlags of a controller that serves a Kubernetes cluster.
type kubeOptions struct {
	kubeconfig string // "": the one in which it runs
	namespace  string
	configMap  string
	label      bool
}

// options are nil where no flag names a cluster.
func (f *kubeFlags) options() *kubeOptions {
	if !f.inCluster && f.kubeconfig == "" {
		return nil
	}
	o := &kubeOptions{kubeconfig: f.kubeconfig, namespace: f.namespace, configMap: f.configMap, label: f.label}
	if o.namespace == "" {
		o.namespace = kubeNamespace
		if own, err := os.ReadFile(podNamespace); err == nil && f.kubeconfig == "" {
			o.namespace = strings.TrimSpace(string(own))
		}
	}
	return o
}

// newKube connects to the Kubernetes cluster that the options name; nil if they name none.
func (s *hostSources) newKube() (*kube.Kube, error) {
	o := s.options.kube
	if o == nil {
		return nil, nil
	}
	klog.SetSlogLogger(slog.New(newWithoutRepeats(s.logger.Handler(), time.Now))) // client-go's words are the process's
	config, err := kube.Connect(o.kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to Kubernetes: %w", err)
	}
	return kube.New(kube.Config{
		Client: client, Cluster: s.cluster, Namespace: o.namespace, Identity: s.self, ConfigMap: o.configMap, Parse: parseClusterFile,
		LabelNodes: o.label, Rejected: replica.ErrRejected, Logger: s.logger, Published: func(uint64) { s.told.rose() },
	}), nil
}

// isReady tells whether what Kubernetes shows is read, where it is a source.
func (s *hostSources) isReady() error {
	if !s.options.roles.controller || s.options.kube == nil {
		return nil
	}
	if k := s.kube.Load(); k == nil || !k.Synced() {
		return errKubeUnread
	}
	return nil
}

var errKubeUnread = errors.New("kubernetes: what it shows is not read yet")

// published is the sequence up to which all statuses that follow from the log are written; 0 for a controller that does not write them.
func (s *hostSources) published() uint64 {
	if k := s.kube.Load(); k != nil {
		return k.Published()
	}
	return 0
}

// parseClusterFile reads the cluster file of a ConfigMap.
func parseClusterFile(data []byte) (kube.ClusterFile, error) {
	file, err := clusterfile.Parse("cluster.yaml", data)
	if err != nil {
		return kube.ClusterFile{}, err
	}
	read := kube.ClusterFile{
		Cluster: clusterOf(file), Notice: file.Notice,
		Explain: func(r control.Refusal) string { return file.Problem(r.Field, r.Value, r.Reason).String() },
	}
	for _, w := range file.Warnings {
		read.Warnings = append(read.Warnings, w.String())
	}
	return read, nil
}
