package kube

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/router"
)

// usualPorts are the ports where a need usually answers.
var usualPorts = map[string][]int{
	"postgres": {5432},
	"mysql":    {3306},
	"redis":    {6379},
	"bucket":   {443, 9000},
	"oidc":     {443},
	"smtp":     {25, 465, 587},
	"search":   {443, 7700, 9200},
	"livekit":  {443, 7880},
	"llm":      {443},
	"http":     {80, 443},
}

// addPolicies writes policies that allow the instance's pods the connections that they need,
// and no others.
func (r *renderer) addPolicies() error {
	for _, add := range []func() error{r.addOwnPolicy, r.addRoutedPolicies, r.addPublicPolicies, r.addNeedPolicies} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

// policy returns a policy without rules for pods of the instance.
func (r *renderer) policy(of string, pods labelSelector, types ...string) *networkPolicy {
	return &networkPolicy{r.header("networking.k8s.io/v1", "NetworkPolicy", of), networkPolicySpec{PodSelector: pods, PolicyTypes: types}}
}

// addOwnPolicy writes what all pods of the instance may do.
func (r *renderer) addOwnPolicy() error {
	own := labelSelector{MatchLabels: r.selector("")}
	o := r.policy("", own, "Ingress", "Egress")
	o.Spec.Ingress = []ingressFrom{{From: []peer{{PodSelector: &own}}}}
	o.Spec.Egress = []egressTo{
		{To: []peer{{PodSelector: &own}}},
		{Ports: []policyPort{{"UDP", 53}, {"TCP", 53}}},
	}
	return r.add(o, "The pods of the instance may reach each other and DNS. Its other policies allow\nmore.")
}

// addRoutedPolicies allows the ingress controller to reach the services that routes lead to.
func (r *renderer) addRoutedPolicies() error {
	backends, err := r.backends()
	if err != nil {
		return err
	}
	ports := map[string][]string{}
	for _, b := range backends {
		if !slices.Contains(ports[b.service], b.port) {
			ports[b.service] = append(ports[b.service], b.port)
		}
	}
	for _, service := range slices.Sorted(maps.Keys(ports)) {
		rule := ingressFrom{}
		comment := "Every pod in the cluster may connect. --ingress-namespace allows only the ingress\ncontroller."
		if r.o.IngressNamespace != "" {
			comment = "The ingress controller may connect."
			rule.From = []peer{{NamespaceSelector: &labelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": r.o.IngressNamespace}}}}
		}
		for _, port := range ports[service] {
			rule.Ports = append(rule.Ports, policyPort{"TCP", port})
		}
		o := r.policy(service+"-routes", labelSelector{MatchLabels: r.selector(service)}, "Ingress")
		o.Spec.Ingress = []ingressFrom{rule}
		if err := r.add(o, comment); err != nil {
			return err
		}
	}
	return nil
}

// addPublicPolicies allows everyone to reach public ports.
func (r *renderer) addPublicPolicies() error {
	for _, s := range r.Services {
		var public []policyPort
		for _, name := range s.Ports {
			if port := s.Component.Ports[name]; port.Access == "public" {
				public = append(public, policyPort{strings.ToUpper(port.Protocol), portName(name, port.Port)})
			}
		}
		if len(public) == 0 {
			continue
		}
		o := r.policy(s.Name+"-public", labelSelector{MatchLabels: r.selector(s.Name)}, "Ingress")
		o.Spec.Ingress = []ingressFrom{{Ports: public}}
		if err := r.add(o, "Everybody may connect to the public ports of "+s.Name+"."); err != nil {
			return err
		}
	}
	return nil
}

// addNeedPolicies allows services to reach what they need.
func (r *renderer) addNeedPolicies() error {
	for _, name := range slices.Sorted(maps.Keys(r.Needs)) {
		need := r.Needs[name]
		var users []string
		for _, s := range r.Services {
			if instance.Uses(need.Components, s.ComponentName) {
				users = append(users, s.Name)
			}
		}
		if slices.ContainsFunc(router.Variables(r.Instance), func(v instance.Variable) bool { return v.Need == name }) {
			users = append(users, routerName)
		}
		if need.Kind == "volume" || len(users) == 0 {
			continue
		}
		pods := labelSelector{r.selector(""), []oneOf{{"app.kubernetes.io/component", "In", users}}}
		o := r.policy("to-"+name, pods, "Egress")
		rule, comment := egress(need)
		if p, is := r.provided[name]; is {
			rule = egressTo{To: []peer{{PodSelector: &labelSelector{MatchLabels: p.pods}}}, Ports: []policyPort{{"TCP", p.port}}}
			comment = p.by + ", in the same namespace."
		}
		o.Spec.Egress = []egressTo{rule}
		if err := r.add(o, comment); err != nil {
			return err
		}
	}
	return nil
}

// egress returns a rule that allows connections to a need, and a comment about it.
func egress(need describe.Need) (egressTo, string) {
	if need.Kind == "app" {
		labels := map[string]string{"app.kubernetes.io/name": need.App}
		to := peer{&labelSelector{}, &labelSelector{MatchLabels: labels}}
		rule := egressTo{To: []peer{to}}
		if isPortName(need.Port) {
			rule.Ports = []policyPort{{"TCP", need.Port}}
		}
		return rule, "The app " + need.App + ", in any namespace."
	}
	var rule egressTo
	var numbers []string
	for _, port := range usualPorts[need.Kind] {
		rule.Ports = append(rule.Ports, policyPort{"TCP", port})
		numbers = append(numbers, fmt.Sprint(port))
	}
	comment := fmt.Sprintf("%s may be anywhere, at its usual ports, %s. If it has another port, change it here.\nIf it is in the cluster, select its pods.", need.Kind, strings.Join(numbers, ", "))
	return rule, comment
}
