//! Rendering.

use super::{
    OUTPUT_LIMIT, Place, STEP_LIMIT, TemplateError, functions,
    parse::{Node, Operand, Pipeline, Term},
    value::Value,
};

/// What has no other fields in Flux than here.
const AS_IN_FLUX: [&str; 3] = ["TemplateData", "Changed", "Change"];
const IN_FLUX: &str = ", in Flux neither, which stops at it and commits nothing";

pub(super) fn render(nodes: &[Node], data: &Value) -> Result<String, TemplateError> {
    let mut run = Run { out: String::new(), variables: vec![(String::new(), data.clone())], steps: 0 };
    run.nodes(nodes, data)?;
    Ok(run.out)
}

struct Run {
    out: String,
    variables: Vec<(String, Value)>,
    steps: usize,
}

/// How a list of nodes ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

fn error<T>(place: Place, message: impl Into<String>) -> Result<T, TemplateError> {
    Err(TemplateError { place, message: message.into() })
}

impl Run {
    fn nodes(&mut self, nodes: &[Node], dot: &Value) -> Result<Flow, TemplateError> {
        let scope = self.variables.len();
        let mut flow = Flow::Next;
        for node in nodes {
            flow = self.node(node, dot)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.variables.truncate(scope);
        Ok(flow)
    }

    fn step(&mut self, place: Place) -> Result<(), TemplateError> {
        self.steps += 1;
        match self.steps > STEP_LIMIT {
            true => error(place, format!("more than {STEP_LIMIT} steps")),
            false => Ok(()),
        }
    }

    fn write(&mut self, text: &str, place: Place) -> Result<(), TemplateError> {
        if self.out.len() + text.len() > OUTPUT_LIMIT {
            return error(place, format!("the message is longer than {OUTPUT_LIMIT} bytes"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => {
                self.step(Place::default())?;
                self.write(text, Place::default())?;
            }
            Node::Action(pipeline) => {
                let value = self.pipeline(pipeline, dot)?;
                if pipeline.variables.is_empty() {
                    self.write(&value.text(), pipeline.place)?;
                }
            }
            Node::If { condition, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(condition, dot)?;
                let flow = self.nodes(if value.is_true() { then } else { otherwise }, dot)?;
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::With { value, then, otherwise } => {
                let scope = self.variables.len();
                let value = self.pipeline(value, dot)?;
                let flow = match value.is_true() {
                    true => self.nodes(then, &value)?,
                    false => self.nodes(otherwise, dot)?,
                };
                self.variables.truncate(scope);
                return Ok(flow);
            }
            Node::Range { over, body, otherwise } => return self.range(over, body, otherwise, dot),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn range(
        &mut self,
        over: &Pipeline,
        body: &[Node],
        otherwise: &[Node],
        dot: &Value,
    ) -> Result<Flow, TemplateError> {
        let scope = self.variables.len();
        let entries: Vec<(Value, Value)> = match self.value(over, dot)? {
            Value::List(items) => (0..).map(Value::Int).zip(items.iter().cloned()).collect(),
            Value::Map(entries) => entries.to_vec(),
            Value::Nil => Vec::new(),
            Value::Int(count) => {
                let count = count.clamp(0, STEP_LIMIT as i64 + 1);
                (0..count).map(|number| (Value::Int(number), Value::Int(number))).collect()
            }
            other => return error(over.place, format!("range can't go over {}", other.kind())),
        };
        if entries.is_empty() {
            let flow = self.nodes(otherwise, dot)?;
            self.variables.truncate(scope);
            return Ok(flow);
        }
        for (key, value) in entries {
            self.step(over.place)?;
            match (over.assigns, over.variables.as_slice()) {
                (_, []) => {}
                (true, names) => {
                    let values = if names.len() == 1 { vec![value.clone()] } else { vec![key, value.clone()] };
                    for (name, value) in names.iter().zip(values) {
                        self.assign(name, value);
                    }
                }
                (false, [one]) => self.variables.push((one.clone(), value.clone())),
                (false, [first, second, ..]) => {
                    self.variables.push((first.clone(), key));
                    self.variables.push((second.clone(), value.clone()));
                }
            }
            let flow = self.nodes(body, &value)?;
            self.variables.truncate(scope);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Next)
    }

    fn assign(&mut self, name: &str, value: Value) {
        if let Some((_, old)) = self.variables.iter_mut().rev().find(|(known, _)| known == name) {
            *old = value;
        }
    }

    /// A pipeline's value; its variables are set.
    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        let value = self.value(pipeline, dot)?;
        for name in &pipeline.variables {
            match pipeline.assigns {
                true => self.assign(name, value.clone()),
                false => self.variables.push((name.clone(), value.clone())),
            }
        }
        Ok(value)
    }

    fn value(&mut self, pipeline: &Pipeline, dot: &Value) -> Result<Value, TemplateError> {
        self.step(pipeline.place)?;
        let mut value = None;
        for command in &pipeline.commands {
            value = Some(self.command(command, dot, value)?);
        }
        Ok(value.unwrap_or(Value::Nil))
    }

    fn command(&mut self, command: &[Operand], dot: &Value, piped: Option<Value>) -> Result<Value, TemplateError> {
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Nil) };
        let Term::Function(name) = &first.kind else {
            if let Some(argument) = rest.first() {
                return error(argument.place, "this is no function: it takes no arguments");
            }
            return self.operand(first, dot);
        };
        self.step(first.place)?;
        // Go's `and` and `or` look at no more arguments than they need.
        if matches!(name.as_str(), "and" | "or") {
            let mut value = Value::Nil;
            for operand in rest {
                value = self.operand(operand, dot)?;
                if value.is_true() == (name == "or") {
                    return fields(value, &first.fields, first.place);
                }
            }
            return Ok(piped.unwrap_or(value));
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(operand, dot)?);
        }
        arguments.extend(piped);
        match functions::call(name, &arguments) {
            Ok(value) => fields(value, &first.fields, first.place),
            Err(message) => error(first.place, format!("{name}: {message}")),
        }
    }

    fn operand(&mut self, operand: &Operand, dot: &Value) -> Result<Value, TemplateError> {
        let value = match &operand.kind {
            Term::Dot => dot.clone(),
            Term::Variable(name) => {
                let found = self.variables.iter().rev().find(|(known, _)| known == name);
                found.map_or(Value::Nil, |(_, value)| value.clone())
            }
            // A function without arguments, as an argument.
            Term::Function(name) => match functions::call(name, &[]) {
                Ok(value) => value,
                Err(message) => return error(operand.place, format!("{name}: {message}")),
            },
            Term::String(text) => Value::string(text),
            Term::Int(number) => Value::Int(*number),
            Term::Float(number) => Value::Float(*number),
            Term::Bool(value) => Value::Bool(*value),
            Term::Nil => Value::Nil,
            Term::Group(group) => self.pipeline(group, dot)?,
        };
        fields(value, &operand.fields, operand.place)
    }
}

fn fields(value: Value, names: &[String], place: Place) -> Result<Value, TemplateError> {
    names.iter().try_fold(value, |value, name| match &value {
        Value::Object(object) => match object.fields.iter().find(|(field, _)| field == name) {
            Some((_, value)) => Ok(value.clone()),
            None => {
                let known: Vec<_> = object.fields.iter().map(|(field, _)| *field).collect();
                let in_flux = if AS_IN_FLUX.contains(&object.name) { IN_FLUX } else { "" };
                error(place, format!("{} has no field {name}{in_flux}; it has {}", object.name, known.join(", ")))
            }
        },
        Value::Map(entries) => {
            let found = entries.iter().find(|(key, _)| matches!(key, Value::String(key) if **key == **name));
            Ok(found.map_or(Value::Nil, |(_, value)| value.clone()))
        }
        other => error(place, format!("{} has no field {name}", other.kind())),
    })
}
