package operator

import "slices"

// schema is a structural schema, with the fields of Kubernetes' JSONSchemaProps that this
// package writes:
// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema
//
// Texts, lists and maps have a largest size. Kubernetes uses it to estimate the cost of rules.
type schema struct {
	Description string   `yaml:"description,omitempty"`
	Type        string   `yaml:"type"`
	Format      string   `yaml:"format,omitempty"`
	Enum        []string `yaml:"enum,omitempty"`
	Pattern     string   `yaml:"pattern,omitempty"`
	MinLength   int      `yaml:"minLength,omitempty"`
	MaxLength   int      `yaml:"maxLength,omitempty"`
	Minimum     int      `yaml:"minimum,omitempty"`

	Items    *schema  `yaml:"items,omitempty"`
	MaxItems int      `yaml:"maxItems,omitempty"`
	ListType string   `yaml:"x-kubernetes-list-type,omitempty"`
	ListKeys []string `yaml:"x-kubernetes-list-map-keys,omitempty"`

	Properties           map[string]schema `yaml:"properties,omitempty"`
	Required             []string          `yaml:"required,omitempty"`
	AdditionalProperties *schema           `yaml:"additionalProperties,omitempty"`
	MaxProperties        int               `yaml:"maxProperties,omitempty"`

	Rules []rule `yaml:"x-kubernetes-validations,omitempty"`
}

// rule is a validation rule in CEL.
type rule struct {
	Rule    string `yaml:"rule"`
	Message string `yaml:"message"`
}

// text returns the schema of a string of 1 to most characters.
func text(most int) schema { return schema{Type: "string", MinLength: 1, MaxLength: most} }

// set returns the schema of a list without duplicates.
func set(most int, items schema) schema {
	return schema{Type: "array", MaxItems: most, ListType: "set", Items: &items}
}

func object(properties map[string]schema, required ...string) schema {
	return schema{Type: "object", Properties: properties, Required: required}
}

func (s schema) described(description string) schema {
	s.Description = description
	return s
}

func (s schema) matching(pattern string) schema {
	s.Pattern = pattern
	return s
}

func (s schema) ruled(rules ...rule) schema {
	s.Rules = append(slices.Clone(s.Rules), rules...)
	return s
}

// immutable returns a rule that a value cannot change. Kubernetes does not apply it when an
// optional field is added or removed.
func immutable(what string) rule {
	return rule{Rule: "self == oldSelf", Message: what + " cannot change"}
}

const (
	// namePattern matches names in a catalogue.
	namePattern = "^[a-z0-9]+([._-][a-z0-9]+)*$"
	// comparison matches one comparison of a version constraint.
	comparison = `([<>!]?=|[<>~^])? *v?[0-9*][0-9A-Za-z.*-]*`
)

var (
	hostRule = rule{
		Rule:    "self.matches('^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$') && !self.matches('(^|[.])[0-9]+$')",
		Message: "the host is a DNS name in lower case, such as docs.example.org, without https://, port or path",
	}
	digestRule = rule{
		Rule:    "self.matches('^[a-zA-Z0-9./:_-]+@sha256:[0-9a-f]{64}$')",
		Message: "an image is pinned by its digest: REGISTRY/NAME:TAG@sha256:DIGEST",
	}
	versionRangeRule = rule{
		Rule:    `self.matches('^ *` + comparison + `(( *, *| *[|][|] *| +)` + comparison + `)* *$')`,
		Message: "a version constraint is like >=14, <18",
	}
	bucketNameRule = rule{ // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
		Rule:    "self.matches('^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$') && !self.contains('..')",
		Message: "a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens",
	}
	uriRule = rule{
		Rule:    "isURL(self) && url(self).getScheme() == 'https' && !self.contains('#')",
		Message: "a redirect URI is an https:// URL without a fragment",
	}
)

// objectName returns the schema of the name of another object in the namespace.
func objectName() schema {
	return text(253).matching("^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")
}
