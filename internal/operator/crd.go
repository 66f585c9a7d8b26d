package operator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
)

// CRDs returns the CustomResourceDefinitions for the instances of apps and for all of their
// needs, optional ones too. Several variants of an app share one kind.
func CRDs(apps []*describe.Application) ([]kit.File, error) {
	variants, needed := map[string][]*describe.Application{}, map[string]bool{}
	for _, app := range apps {
		if err := instance.CheckDocument(app); err != nil {
			return nil, err
		}
		variants[app.Metadata.Name] = append(variants[app.Metadata.Name], app)
		for _, need := range app.Spec.Needs {
			needed[need.Kind] = true
		}
	}
	appNames, kinds := slices.Sorted(maps.Keys(variants)), map[string]string{}
	for _, name := range appNames {
		kind, err := appKind(name)
		if err != nil {
			return nil, err
		}
		kinds[name] = kind
	}
	if err := checkDistinct(kinds, appNames); err != nil {
		return nil, err
	}
	var all []definition
	for _, name := range appNames {
		all = append(all, appDefinition(kinds[name], variants[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(needed)) {
		all = append(all, needDefinition(name, needKinds[name]))
	}
	var files []kit.File
	for _, d := range all {
		file, err := kit.YAML("customresourcedefinition-"+d.Metadata.Name+".yaml", "", d)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// definition is a CustomResourceDefinition:
// https://kubernetes.io/docs/reference/kubernetes-api/extend-resources/custom-resource-definition-v1/
type definition struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   metadata       `yaml:"metadata"`
	Spec       definitionSpec `yaml:"spec"`
}

type definitionSpec struct {
	Group    string              `yaml:"group"`
	Scope    string              `yaml:"scope"`
	Names    names               `yaml:"names"`
	Versions []definitionVersion `yaml:"versions"`
}

type definitionVersion struct {
	Name         string   `yaml:"name"`
	Served       bool     `yaml:"served"`
	Storage      bool     `yaml:"storage"`
	Columns      []column `yaml:"additionalPrinterColumns"`
	Subresources struct {
		Status struct{} `yaml:"status"`
	} `yaml:"subresources"`
	Schema struct {
		Root schema `yaml:"openAPIV3Schema"`
	} `yaml:"schema"`
}

// column is a column that kubectl get prints.
type column struct {
	Name     string `yaml:"name"`
	Type     string `yaml:"type"`
	JSONPath string `yaml:"jsonPath"`
}

func newDefinition(group, kind, description string, spec schema, columns []column) definition {
	n := namesOf(kind)
	version := definitionVersion{Name: Version, Served: true, Storage: true}
	version.Columns = append(slices.Clone(columns),
		column{"Ready", "string", `.status.conditions[?(@.type=="Ready")].status`},
		column{"Age", "date", ".metadata.creationTimestamp"})
	version.Schema.Root = object(map[string]schema{
		"apiVersion": {Type: "string"}, "kind": {Type: "string"}, "metadata": {Type: "object"},
		"spec": spec, "status": status,
	}, "spec").described(description)
	return definition{
		APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition",
		Metadata: metadata{Name: n.Plural + "." + group, Labels: map[string]string{"app.kubernetes.io/managed-by": "libre"}},
		Spec:     definitionSpec{Group: group, Scope: "Namespaced", Names: n, Versions: []definitionVersion{version}},
	}
}

// status is the schema of what an operator reports. It follows
// https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md#typical-status-properties
var status = object(map[string]schema{
	"observedGeneration": {Type: "integer", Format: "int64"},
	"conditions": {
		Type: "array", MaxItems: 20, ListType: "map", ListKeys: []string{"type"},
		Items: &schema{Type: "object", Required: []string{"type", "status", "lastTransitionTime", "reason", "message"}, Properties: map[string]schema{
			"type":               text(316),
			"status":             {Type: "string", Enum: []string{"True", "False", "Unknown"}},
			"observedGeneration": {Type: "integer", Format: "int64"},
			"lastTransitionTime": {Type: "string", Format: "date-time"},
			"reason":             text(1024),
			"message":            {Type: "string", MaxLength: 32768},
		}},
	},
}).described("What an operator reports.")

func needDefinition(name string, k needKind) definition {
	fields, required := maps.Clone(k.fields), slices.Clone(k.required)
	if fields == nil {
		fields = map[string]schema{}
	}
	target := column{"Secret", "string", ".spec.secretName"}
	if name == "volume" {
		fields["claimName"] = objectName().described("The PersistentVolumeClaim to make.").ruled(immutable("the claim's name"))
		required = append(required, "claimName")
		target = column{"Claim", "string", ".spec.claimName"}
	} else {
		keys := strings.Join(parts(name), ", ")
		fields["secretName"] = objectName().described("The Secret to fill, with the keys " + keys + ".").ruled(immutable("the Secret's name"))
		required = append(required, "secretName")
	}
	slices.Sort(required)
	spec := object(fields, required...).ruled(k.rules...)
	return newDefinition(NeedsGroup, k.kind, k.description, spec, append(slices.Clone(k.columns), target))
}

func appDefinition(kind string, variants []*describe.Application) definition {
	app := variants[0]
	description := fmt.Sprintf("An instance of %s.", app.Metadata.Name)
	if app.Spec.Description != "" {
		description = fmt.Sprintf("An instance of %s: %s.", app.Metadata.Name, strings.TrimSuffix(app.Spec.Description, "."))
	}
	return newDefinition(AppsGroup, kind, description, instanceSchema(variants), []column{
		{"Host", "string", ".spec.host"},
		{"Version", "string", ".spec.version"},
		{"Variant", "string", ".spec.variant"},
	})
}
