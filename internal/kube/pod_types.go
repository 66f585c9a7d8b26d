package kube

type podTemplate struct {
	Metadata metadata `yaml:"metadata"`
	Spec     podSpec  `yaml:"spec"`
}

type podSpec struct {
	AutomountServiceAccountToken bool               `yaml:"automountServiceAccountToken"`
	EnableServiceLinks           bool               `yaml:"enableServiceLinks"`
	ServiceAccountName           string             `yaml:"serviceAccountName,omitempty"`
	RestartPolicy                string             `yaml:"restartPolicy,omitempty"`
	SecurityContext              podSecurityContext `yaml:"securityContext"`
	Containers                   []container        `yaml:"containers"`
	Volumes                      []volume           `yaml:"volumes,omitempty"`
}

type podSecurityContext struct {
	RunAsNonRoot        bool   `yaml:"runAsNonRoot"`
	RunAsUser           *int64 `yaml:"runAsUser,omitempty"`
	RunAsGroup          *int64 `yaml:"runAsGroup,omitempty"`
	FSGroup             *int64 `yaml:"fsGroup,omitempty"`
	FSGroupChangePolicy string `yaml:"fsGroupChangePolicy,omitempty"`
	SeccompProfile      typed  `yaml:"seccompProfile"`
}

type container struct {
	Name            string          `yaml:"name"`
	Image           string          `yaml:"image"`
	Args            []string        `yaml:"args,omitempty"`
	Env             []envVar        `yaml:"env,omitempty"`
	Ports           []containerPort `yaml:"ports,omitempty"`
	StartupProbe    *probe          `yaml:"startupProbe,omitempty"`
	ReadinessProbe  *probe          `yaml:"readinessProbe,omitempty"`
	LivenessProbe   *probe          `yaml:"livenessProbe,omitempty"`
	Resources       *resources      `yaml:"resources,omitempty"`
	SecurityContext securityContext `yaml:"securityContext"`
	VolumeMounts    []volumeMount   `yaml:"volumeMounts,omitempty"`
}

type envVar struct {
	Name      string        `yaml:"name"`
	Value     string        `yaml:"value,omitempty"`
	ValueFrom *envVarSource `yaml:"valueFrom,omitempty"`
}

type envVarSource struct {
	SecretKeyRef secretKeyRef `yaml:"secretKeyRef"`
}

type secretKeyRef struct {
	Name     string `yaml:"name"`
	Key      string `yaml:"key"`
	Optional bool   `yaml:"optional,omitempty"`
}

type containerPort struct {
	Name          string `yaml:"name"`
	ContainerPort int    `yaml:"containerPort"`
	Protocol      string `yaml:"protocol"`
}

// probe has exactly one of the four actions.
type probe struct {
	HTTPGet          *httpGet    `yaml:"httpGet,omitempty"`
	Exec             *execAction `yaml:"exec,omitempty"`
	TCPSocket        *portAction `yaml:"tcpSocket,omitempty"`
	GRPC             *portNumber `yaml:"grpc,omitempty"`
	PeriodSeconds    int         `yaml:"periodSeconds"`
	TimeoutSeconds   int         `yaml:"timeoutSeconds"`
	FailureThreshold int         `yaml:"failureThreshold"`
}

type httpGet struct {
	Path        string       `yaml:"path"`
	Port        string       `yaml:"port"`
	HTTPHeaders []httpHeader `yaml:"httpHeaders,omitempty"`
}

type httpHeader struct {
	Name  string `yaml:"name"`
	Value string `yaml:"value"`
}

type execAction struct {
	Command []string `yaml:"command"`
}

type portAction struct {
	Port string `yaml:"port"`
}

type portNumber struct {
	Port int `yaml:"port"`
}

type resources struct {
	Requests map[string]string `yaml:"requests,omitempty"`
	Limits   map[string]string `yaml:"limits,omitempty"`
}

type securityContext struct {
	AllowPrivilegeEscalation bool         `yaml:"allowPrivilegeEscalation"`
	ReadOnlyRootFilesystem   bool         `yaml:"readOnlyRootFilesystem"`
	Capabilities             capabilities `yaml:"capabilities"`
}

type capabilities struct {
	Drop []string `yaml:"drop"`
}

type volumeMount struct {
	Name      string `yaml:"name"`
	MountPath string `yaml:"mountPath"`
	SubPath   string `yaml:"subPath,omitempty"`
	ReadOnly  bool   `yaml:"readOnly,omitempty"`
}

// volume has exactly one of the three sources.
type volume struct {
	Name                  string           `yaml:"name"`
	EmptyDir              *struct{}        `yaml:"emptyDir,omitempty"`
	ConfigMap             *configMapSource `yaml:"configMap,omitempty"`
	PersistentVolumeClaim *claimSource     `yaml:"persistentVolumeClaim,omitempty"`
}

type configMapSource struct {
	Name string `yaml:"name"`
}

type claimSource struct {
	ClaimName string `yaml:"claimName"`
	ReadOnly  bool   `yaml:"readOnly,omitempty"`
}
