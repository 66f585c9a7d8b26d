package operator

import (
	"cmp"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
)

// A needKind describes the resource for a kind of need.
type needKind struct {
	kind        string // of the resource
	description string
	fields      map[string]schema // of the spec, beside the Secret's name
	required    []string
	rules       []rule
	columns     []column
	fill        func(*needSpec, *instance.Instance, describe.Need)
}

// needSpec is the spec of a need's resource. Each kind uses some of the fields.
type needSpec struct {
	SecretName string `yaml:"secretName,omitempty"`
	ClaimName  string `yaml:"claimName,omitempty"`

	Version    string   `yaml:"version,omitempty"`
	Extensions []string `yaml:"extensions,omitempty"`

	Versioning bool `yaml:"versioning,omitempty"`

	RedirectURIs           []string `yaml:"redirectURIs,omitempty"`
	PostLogoutRedirectURIs []string `yaml:"postLogoutRedirectURIs,omitempty"`
	Scopes                 []string `yaml:"scopes,omitempty"`

	Size   string `yaml:"size,omitempty"`
	Access string `yaml:"access,omitempty"`

	App       string `yaml:"app,omitempty"`
	Component string `yaml:"component,omitempty"`
	Port      string `yaml:"port,omitempty"`
}

func (k needKind) spec(i *instance.Instance, need describe.Need, name string) needSpec {
	spec := needSpec{SecretName: name}
	if need.Kind == "volume" {
		spec = needSpec{ClaimName: name}
	}
	if k.fill != nil {
		k.fill(&spec, i, need)
	}
	return spec
}

func fillVersion(s *needSpec, _ *instance.Instance, need describe.Need) {
	s.Version, s.Extensions = need.Version, need.Extensions
}

var (
	versionRange = text(100).described("The server's versions that work, such as >=14, <18.").ruled(versionRangeRule)
	versions     = map[string]schema{"version": versionRange}
	versionOf    = column{Name: "Version", Type: "string", JSONPath: ".spec.version"}
)

// needKinds are the resources of all kinds of needs.
var needKinds = map[string]needKind{
	"postgres": {
		kind: "Postgres", description: "A database of PostgreSQL, with a role that owns it.",
		fields: map[string]schema{
			"version":    versionRange,
			"extensions": set(50, text(63).matching("^[a-z_][a-z0-9_-]*$")).described("Extensions that must exist, or that the role may create."),
		},
		columns: []column{versionOf}, fill: fillVersion,
	},
	"mysql": {
		kind: "MySQL", description: "A database of MySQL or MariaDB, with a user that has all rights on it.",
		fields: versions, columns: []column{versionOf}, fill: fillVersion,
	},
	"redis": {
		kind: "Redis", description: "A database of Redis or Valkey.",
		fields: versions, columns: []column{versionOf}, fill: fillVersion,
	},
	"search": {
		kind: "SearchEngine", description: "A search engine, such as OpenSearch.",
		fields: versions, columns: []column{versionOf}, fill: fillVersion,
	},
	"bucket": {
		kind: "Bucket", description: "A bucket of an object store with the API of S3, and a key for it.",
		fields: map[string]schema{
			"bucketName": text(63).described("The bucket's name. Without it, the provider chooses one.").ruled(bucketNameRule, immutable("the bucket's name")),
			"versioning": schema{Type: "boolean"}.described("Whether objects have versions. Once on, it stays on."),
		},
		rules: []rule{
			{Rule: "has(self.bucketName) == has(oldSelf.bucketName)", Message: "the bucket's name cannot be added or removed later: its objects are in the bucket of before"},
			{Rule: "!(has(oldSelf.versioning) && oldSelf.versioning) || (has(self.versioning) && self.versioning)", Message: "versioning cannot be turned off"},
		},
		columns: []column{{Name: "Versioning", Type: "boolean", JSONPath: ".spec.versioning"}},
		fill:    func(s *needSpec, _ *instance.Instance, need describe.Need) { s.Versioning = need.Versioning },
	},
	"oidc": {
		kind: "OIDCClient", description: "A client of an OpenID provider.",
		fields: map[string]schema{
			"redirectURIs":           set(20, text(2048).ruled(uriRule)).described("Where a login may lead."),
			"postLogoutRedirectURIs": set(20, text(2048).ruled(uriRule)).described("Where a logout may lead."),
			"scopes":                 set(50, text(256).matching(`^[!#-\[\]-~]+$`)).described("The scopes that the app asks for."), // RFC 6749, section 3.3
		},
		fill: func(s *needSpec, i *instance.Instance, need describe.Need) {
			s.Scopes = need.Scopes
			if need.Callback != "" {
				s.RedirectURIs = []string{i.URL() + need.Callback}
			}
			if need.PostLogout != "" {
				s.PostLogoutRedirectURIs = []string{i.URL() + need.PostLogout}
			}
		},
	},
	"smtp":    {kind: "SMTPAccount", description: "An account of a mail server that sends mails."},
	"livekit": {kind: "LiveKit", description: "A key of a LiveKit server."},
	"llm":     {kind: "LanguageModel", description: "A key of an API like OpenAI's."},
	"http":    {kind: "HTTPService", description: "An HTTP service of another kind."},
	"app": {
		kind: "AppPort", description: "A port of another app of the catalogue.",
		fields: map[string]schema{
			"app":       text(128).matching(namePattern).described("The other app."),
			"component": text(128).matching(namePattern).described("One of its components."),
			"port":      text(128).matching(namePattern).described("One of the component's ports."),
		},
		required: []string{"app", "port"},
		columns:  []column{{Name: "App", Type: "string", JSONPath: ".spec.app"}, {Name: "Port", Type: "string", JSONPath: ".spec.port"}},
		fill: func(s *needSpec, _ *instance.Instance, need describe.Need) {
			s.App, s.Component, s.Port = need.App, need.Component, need.Port
		},
	},
	"volume": {
		kind: "Volume", description: "A folder whose content is kept.",
		fields: map[string]schema{
			"size": text(32).described("Its size, as a quantity of Kubernetes. It can only grow.").ruled(
				rule{Rule: "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))", Message: "the size is a quantity such as 10Gi"},
				rule{Rule: "!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0", Message: "a volume cannot shrink"}),
			"access": schema{Type: "string", Enum: []string{"ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany"}}.described("Who may use it at once.").ruled(immutable("the access")),
		},
		required: []string{"access"},
		columns:  []column{{Name: "Size", Type: "string", JSONPath: ".spec.size"}, {Name: "Access", Type: "string", JSONPath: ".spec.access"}},
		fill: func(s *needSpec, _ *instance.Instance, need describe.Need) {
			s.Size, s.Access = need.Size, cmp.Or(need.Access, "ReadWriteOnce")
		},
	},
}
