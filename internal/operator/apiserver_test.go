package operator

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/kit"
)

// resourceType checks resources of a kind like Kubernetes' API server.
type resourceType struct {
	structural *structural.Structural
	schema     validation.SchemaValidator
	cel        *cel.Validator
}

// readDefinition decodes a CustomResourceDefinition strictly, and checks it as the API
// server does: its names, that its schema is structural, and its rules with their
// estimated cost.
func readDefinition(content []byte) (*apiextensions.CustomResourceDefinition, error) {
	var external apiextensionsv1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(content, &external); err != nil {
		return nil, err
	}
	apiextensionsv1.SetDefaults_CustomResourceDefinition(&external)
	apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&external.Spec)
	// The API server sets it when it creates the definition.
	external.Status.StoredVersions = []string{Version}
	var internal apiextensions.CustomResourceDefinition
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(&external, &internal, nil); err != nil {
		return nil, err
	}
	return &internal, crdvalidation.ValidateCustomResourceDefinition(context.Background(), &internal).ToAggregate()
}

// resourceTypes returns the kinds that definitions define, by GROUP/KIND.
func resourceTypes(t *testing.T, definitions []kit.File) map[string]resourceType {
	t.Helper()
	types := map[string]resourceType{}
	for _, file := range definitions {
		definition, err := readDefinition(file.Content)
		if err != nil {
			t.Fatalf("%s: %v\n%s", file.Name, err, file.Content)
		}
		props := definition.Spec.Validation
		if props == nil {
			props = definition.Spec.Versions[0].Schema
		}
		s, err := structural.NewStructural(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		validator, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		types[definition.Spec.Group+"/"+definition.Spec.Names.Kind] = resourceType{s, validator, cel.NewValidator(s, true, celconfig.PerCallLimit)}
	}
	return types
}

// create returns why the API server refuses a resource, with strict field validation; nil if it
// accepts it. If former is set, the resource replaces it.
func create(types map[string]resourceType, resource, former map[string]any) error {
	kind := strings.TrimSuffix(fmt.Sprint(resource["apiVersion"]), "/"+Version) + "/" + fmt.Sprint(resource["kind"])
	r, known := types[kind]
	if !known {
		return fmt.Errorf("no kind %s", kind)
	}
	if unknown := pruning.PruneWithOptions(resource, r.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}); len(unknown) > 0 {
		return fmt.Errorf("unknown field %s", strings.Join(unknown, ", "))
	}
	var errs field.ErrorList
	var old any
	if former == nil {
		errs = validation.ValidateCustomResource(nil, resource, r.schema)
	} else {
		old = former
		errs = validation.ValidateCustomResourceUpdate(nil, resource, former, r.schema)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, r.structural, resource)...)
	if len(errs) > 0 {
		return errs.ToAggregate()
	}
	errs, _ = r.cel.Validate(context.Background(), nil, r.structural, resource, old, celconfig.RuntimeCELCostBudget)
	return errs.ToAggregate()
}

func decode(t *testing.T, content []byte) map[string]any {
	t.Helper()
	var resource map[string]any
	if err := yaml.Unmarshal(content, &resource); err != nil {
		t.Fatal(err)
	}
	return normal(resource).(map[string]any)
}

// normal converts integers to the type that the API server decodes them to.
func normal(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			v[name] = normal(v[name])
		}
	case []any:
		for n := range v {
			v[n] = normal(v[n])
		}
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	}
	return value
}
