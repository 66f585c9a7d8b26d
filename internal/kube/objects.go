package kube

// object is an object of one of the kinds below.
type object interface{ head() *header }

type header struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
}

func (h *header) head() *header { return h }

type metadata struct {
	Name        string            `yaml:"name,omitempty"`
	Namespace   string            `yaml:"namespace,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

type labelSelector struct {
	MatchLabels      map[string]string `yaml:"matchLabels,omitempty"`
	MatchExpressions []oneOf           `yaml:"matchExpressions,omitempty"`
}

// oneOf selects objects whose label has one of the values. Operator is In.
type oneOf struct {
	Key      string   `yaml:"key"`
	Operator string   `yaml:"operator"`
	Values   []string `yaml:"values"`
}

type serviceAccount struct {
	header                       `yaml:",inline"`
	AutomountServiceAccountToken bool `yaml:"automountServiceAccountToken"`
}

type deployment struct {
	header `yaml:",inline"`
	Spec   deploymentSpec `yaml:"spec"`
}

type deploymentSpec struct {
	Replicas int           `yaml:"replicas"`
	Selector labelSelector `yaml:"selector"`
	Strategy *typed        `yaml:"strategy,omitempty"`
	Template podTemplate   `yaml:"template"`
}

type configMap struct {
	header `yaml:",inline"`
	Data   map[string]string `yaml:"data"`
}

type statefulSet struct {
	header `yaml:",inline"`
	Spec   statefulSetSpec `yaml:"spec"`
}

type statefulSetSpec struct {
	Replicas    int           `yaml:"replicas"`
	ServiceName string        `yaml:"serviceName"`
	Selector    labelSelector `yaml:"selector"`
	Template    podTemplate   `yaml:"template"`
}

type job struct {
	header `yaml:",inline"`
	Spec   jobSpec `yaml:"spec"`
}

type jobSpec struct {
	BackoffLimit int         `yaml:"backoffLimit"`
	Template     podTemplate `yaml:"template"`
}

type cronJob struct {
	header `yaml:",inline"`
	Spec   cronJobSpec `yaml:"spec"`
}

type cronJobSpec struct {
	Schedule          string `yaml:"schedule"`
	TimeZone          string `yaml:"timeZone"`
	ConcurrencyPolicy string `yaml:"concurrencyPolicy"`
	JobTemplate       struct {
		Spec jobSpec `yaml:"spec"`
	} `yaml:"jobTemplate"`
}

type disruptionBudget struct {
	header `yaml:",inline"`
	Spec   disruptionBudgetSpec `yaml:"spec"`
}

type disruptionBudgetSpec struct {
	MaxUnavailable int           `yaml:"maxUnavailable"`
	Selector       labelSelector `yaml:"selector"`
}

type claim struct {
	header `yaml:",inline"`
	Spec   claimSpec `yaml:"spec"`
}

type claimSpec struct {
	AccessModes []string  `yaml:"accessModes"`
	Resources   resources `yaml:"resources"`
}

// typed has a type, and no other field.
type typed struct {
	Type string `yaml:"type"`
}

type service struct {
	header `yaml:",inline"`
	Spec   serviceSpec `yaml:"spec"`
}

type serviceSpec struct {
	Type      string            `yaml:"type,omitempty"`
	ClusterIP string            `yaml:"clusterIP,omitempty"`
	Selector  map[string]string `yaml:"selector"`
	Ports     []servicePort     `yaml:"ports"`
}

type servicePort struct {
	Name       string `yaml:"name"`
	Port       int    `yaml:"port"`
	TargetPort string `yaml:"targetPort"`
	Protocol   string `yaml:"protocol"`
}
