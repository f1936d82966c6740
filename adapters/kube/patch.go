package kube

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"viplog/core/control"
)

// fieldManager names viplog in managedFields.
const fieldManager = "viplog"

type object = map[string]any

// patchStatus writes what differs between two statuses, if the Service is still the same object; where exact is set, as it was seen.
// Others' conditions stay.
func (k *Kube) patchStatus(ctx context.Context, v *corev1.Service, shown, want control.Status, exact bool) (*corev1.Service, error) {
	metadata := object{"uid": v.UID}
	if exact {
		metadata["resourceVersion"] = v.ResourceVersion
	}
	data, err := json.Marshal(object{"metadata": metadata, "status": statusPatch(shown, want)})
	if err != nil {
		return nil, err
	}
	left, err := k.config.Client.CoreV1().Services(v.Namespace).Patch(
		ctx, v.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if err == nil {
		left.ManagedFields = nil
	}
	return left, err
}

// statusPatch is a strategic merge patch: the list of ingress is replaced, conditions are merged by their type.
func statusPatch(shown, want control.Status) object {
	patch := object{}
	if !slices.Equal(shown.Ingress, want.Ingress) {
		ingress := []corev1.LoadBalancerIngress{}
		for _, i := range want.Ingress {
			entry := corev1.LoadBalancerIngress{IP: i.IP, Hostname: i.Hostname}
			if mode := corev1.LoadBalancerIPMode(i.Mode); mode != "" {
				entry.IPMode = &mode
			}
			ingress = append(ingress, entry)
		}
		patch["loadBalancer"] = object{"ingress": ingress}
	}
	var conditions []any
	for _, c := range want.Conditions {
		if !slices.Contains(shown.Conditions, c) {
			conditions = append(conditions, metav1.Condition{
				Type: c.Type, Status: metav1.ConditionStatus(c.Status), Reason: c.Reason, Message: c.Message,
				LastTransitionTime: metav1.NewTime(time.Unix(c.Since, 0).UTC()),
			})
		}
	}
	for _, c := range shown.Conditions {
		if !slices.ContainsFunc(want.Conditions, func(w control.Condition) bool { return w.Type == c.Type }) {
			conditions = append(conditions, object{"$patch": "delete", "type": c.Type})
		}
	}
	if len(conditions) > 0 {
		patch["conditions"] = conditions
	}
	return patch
}

// patchLabel sets or removes the label of load-balancer nodes.
func (k *Kube) patchLabel(ctx context.Context, change control.NodeLabel) error {
	var value any
	if change.Set {
		value = "true"
	}
	data, err := json.Marshal(object{"metadata": object{"labels": object{control.LabelLoadBalancerNode: value}}})
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err = k.config.Client.CoreV1().Nodes().Patch(
		bounded, change.Node, types.StrategicMergePatchType, data, metav1.PatchOptions{FieldManager: fieldManager})
	return err
}
