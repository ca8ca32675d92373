//! A graph of ONNX operators under construction.
use super::proto::*;
use candle_core::{DType, Tensor};
use drgan_tensor::{Error, Result};

/// A value of the graph: an input, a constant, or what a node gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value(String);

/// A size of a shape.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dim {
    Fixed(usize),
    /// Any size, by its name.
    Any(&'static str),
}

/// An attribute of a node.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attribute<'a> {
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
}

/// Operators, constants, inputs and outputs, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Graph {
    proto: GraphProto,
}

impl Graph {
    pub(super) fn new(name: &str) -> Self {
        Self { proto: GraphProto { name: name.to_owned(), ..GraphProto::default() } }
    }

    pub(super) fn input(&mut self, name: &str, kind: ElementType, shape: &[Dim]) -> Value {
        self.proto.input.push(info(name, kind, shape));
        Value(name.to_owned())
    }

    /// Names a value and gives it out.
    pub(super) fn output(&mut self, name: &str, value: &Value, shape: &[Dim]) {
        self.push("Identity", &[value], &[name.to_owned()], &[]);
        self.proto.output.push(info(name, ElementType::Float, shape));
    }

    /// A tensor of weights, in f32.
    pub(super) fn weights(&mut self, name: &str, t: &Tensor) -> Result<Value> {
        let values = t.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(name, ElementType::Float, t.dims(), raw)
    }

    /// A vector of numbers that operators take as an input.
    pub(super) fn integers(&mut self, values: &[i64]) -> Result<Value> {
        let name = format!("integers{}", self.proto.initializer.len());
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(&name, ElementType::Int64, &[values.len()], raw)
    }

    /// A vector of numbers; of none, a scalar.
    pub(super) fn floats(&mut self, dims: &[usize], values: &[f32]) -> Result<Value> {
        let name = format!("floats{}", self.proto.initializer.len());
        let raw = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.constant(&name, ElementType::Float, dims, raw)
    }

    fn constant(
        &mut self,
        name: &str,
        kind: ElementType,
        dims: &[usize],
        raw_data: Vec<u8>,
    ) -> Result<Value> {
        let dims = dims.iter().map(|n| i64::try_from(*n)).collect::<std::result::Result<_, _>>();
        let dims = dims.map_err(|_| Error::input(format!("`{name}` has more values than ONNX counts")))?;
        let tensor = TensorProto { dims, data_type: kind as i32, name: name.to_owned(), raw_data };
        self.proto.initializer.push(tensor);
        Ok(Value(name.to_owned()))
    }

    /// What an operator with one result gives.
    pub(super) fn op(
        &mut self,
        kind: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute<'_>)],
    ) -> Value {
        let [value] = self.ops(kind, inputs, attributes);
        value
    }

    /// What an operator with `N` results gives.
    pub(super) fn ops<const N: usize>(
        &mut self,
        kind: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute<'_>)],
    ) -> [Value; N] {
        let node = self.proto.node.len();
        let names: [String; N] = std::array::from_fn(|i| format!("{kind}{node}.{i}"));
        self.push(kind, inputs, &names, attributes);
        names.map(Value)
    }

    /// An input that an operator may have and does not get.
    pub(super) fn none() -> Value {
        Value(String::new())
    }

    fn push(
        &mut self,
        kind: &str,
        inputs: &[&Value],
        outputs: &[String],
        attributes: &[(&str, Attribute<'_>)],
    ) {
        let attribute = |(name, value): &(&str, Attribute<'_>)| {
            let mut made = AttributeProto { name: (*name).to_owned(), ..AttributeProto::default() };
            match value {
                Attribute::Int(i) => (made.kind, made.i) = (AttributeType::Int as i32, *i),
                Attribute::Ints(all) => (made.kind, made.ints) = (AttributeType::Ints as i32, all.to_vec()),
                Attribute::Text(text) => {
                    (made.kind, made.s) = (AttributeType::String as i32, text.as_bytes().to_vec());
                }
            }
            made
        };
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|value| value.0.clone()).collect(),
            output: outputs.to_vec(),
            name: format!("{kind}{}", self.proto.node.len()),
            op_type: kind.to_owned(),
            attribute: attributes.iter().map(attribute).collect(),
        });
    }

    pub(super) fn into_proto(self) -> GraphProto {
        self.proto
    }
}

fn info(name: &str, kind: ElementType, shape: &[Dim]) -> ValueInfoProto {
    let dim = |dim: &Dim| {
        let value = match dim {
            Dim::Fixed(n) => Size::Value(*n as i64),
            Dim::Any(name) => Size::Param((*name).to_owned()),
        };
        Dimension { value: Some(value) }
    };
    let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
    let tensor_type = Some(TensorTypeProto { elem_type: kind as i32, shape: Some(shape) });
    ValueInfoProto { name: name.to_owned(), r#type: Some(TypeProto { tensor_type }) }
}
