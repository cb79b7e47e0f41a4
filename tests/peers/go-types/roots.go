package main

import (
	"reflect"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"knative.dev/pkg/apis"
)

// The types from which everything that Chains embeds is reached.
var roots = []reflect.Type{
	reflect.TypeFor[v1.TaskRun](),
	reflect.TypeFor[v1.PipelineRun](),
}

// The types that write themselves; the Rust side has an own implementation of each.
var selves = map[reflect.Type]string{
	reflect.TypeFor[metav1.Time]():          "Time",
	reflect.TypeFor[apis.VolatileTime]():    "Time",
	reflect.TypeFor[metav1.Duration]():      "Duration",
	reflect.TypeFor[metav1.FieldsV1]():      "Raw",
	reflect.TypeFor[runtime.RawExtension](): "Raw",
	reflect.TypeFor[resource.Quantity]():    "Quantity",
	reflect.TypeFor[intstr.IntOrString]():   "IntOrString",
	reflect.TypeFor[v1.ParamValue]():        "ParamValue",
}
