package kube

type ingress struct {
	header `yaml:",inline"`
	Spec   ingressSpec `yaml:"spec"`
}

type ingressSpec struct {
	TLS   []ingressTLS  `yaml:"tls"`
	Rules []ingressRule `yaml:"rules"`
}

type ingressTLS struct {
	Hosts      []string `yaml:"hosts"`
	SecretName string   `yaml:"secretName"`
}

type ingressRule struct {
	Host string `yaml:"host"`
	HTTP struct {
		Paths []ingressPath `yaml:"paths"`
	} `yaml:"http"`
}

type ingressPath struct {
	Path     string `yaml:"path"`
	PathType string `yaml:"pathType"`
	Backend  struct {
		Service ingressService `yaml:"service"`
	} `yaml:"backend"`
}

type ingressService struct {
	Name string  `yaml:"name"`
	Port portRef `yaml:"port"`
}

type portRef struct {
	Name string `yaml:"name"`
}

// httpRoute has the fields of https://gateway-api.sigs.k8s.io/reference/spec/
type httpRoute struct {
	header `yaml:",inline"`
	Spec   httpRouteSpec `yaml:"spec"`
}

type httpRouteSpec struct {
	ParentRefs []parentRef     `yaml:"parentRefs"`
	Hostnames  []string        `yaml:"hostnames"`
	Rules      []httpRouteRule `yaml:"rules"`
}

type parentRef struct {
	Name      string `yaml:"name"`
	Namespace string `yaml:"namespace"`
}

type httpRouteRule struct {
	Matches     []httpRouteMatch `yaml:"matches"`
	BackendRefs []backendRef     `yaml:"backendRefs"`
}

type httpRouteMatch struct {
	Path pathMatch `yaml:"path"`
}

type pathMatch struct {
	Type  string `yaml:"type"`
	Value string `yaml:"value"`
}

type backendRef struct {
	Name string `yaml:"name"`
	Port int    `yaml:"port"`
}

type networkPolicy struct {
	header `yaml:",inline"`
	Spec   networkPolicySpec `yaml:"spec"`
}

type networkPolicySpec struct {
	PodSelector labelSelector `yaml:"podSelector"`
	PolicyTypes []string      `yaml:"policyTypes"`
	Ingress     []ingressFrom `yaml:"ingress,omitempty"`
	Egress      []egressTo    `yaml:"egress,omitempty"`
}

// ingressFrom allows connections from From; without From, from everywhere.
type ingressFrom struct {
	From  []peer       `yaml:"from,omitempty"`
	Ports []policyPort `yaml:"ports,omitempty"`
}

// egressTo allows connections to To; without To, to everywhere.
type egressTo struct {
	To    []peer       `yaml:"to,omitempty"`
	Ports []policyPort `yaml:"ports,omitempty"`
}

// peer selects pods. Without NamespaceSelector, it selects them in the same namespace.
type peer struct {
	NamespaceSelector *labelSelector `yaml:"namespaceSelector,omitempty"`
	PodSelector       *labelSelector `yaml:"podSelector,omitempty"`
}

// policyPort has a number or the name of a port of the pods.
type policyPort struct {
	Protocol string `yaml:"protocol"`
	Port     any    `yaml:"port"`
}
