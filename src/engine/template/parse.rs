//! From tokens to what is executed.

use super::{
    DEPTH_LIMIT, Place, TemplateError, functions,
    lex::{Spanned, Token, lex, place},
};

#[derive(Clone, Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipeline),
    If { condition: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    With { value: Pipeline, then: Vec<Node>, otherwise: Vec<Node> },
    Range { over: Pipeline, body: Vec<Node>, otherwise: Vec<Node> },
    Break,
    Continue,
}

#[derive(Clone, Debug)]
pub(super) struct Pipeline {
    pub place: Place,
    pub variables: Vec<String>,
    /// `=`: the variable is there already.
    pub assigns: bool,
    pub commands: Vec<Vec<Operand>>,
}

#[derive(Clone, Debug)]
pub(super) struct Operand {
    pub place: Place,
    pub kind: Term,
    /// `.a.b` behind it.
    pub fields: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Term {
    Dot,
    Variable(String),
    Function(String),
    String(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Nil,
    Group(Box<Pipeline>),
}

pub(super) fn parse(text: &str) -> Result<Vec<Node>, TemplateError> {
    let tokens = lex(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, variables: vec![String::new()], depth: 0, loops: 0 };
    let (nodes, end) = parser.list()?;
    match end {
        None => Ok(nodes),
        Some((word, offset)) => parser.error(offset, format!("`{word}` without an `if`, `range` or `with`")),
    }
}

/// Where a field of the data is used first.
pub(super) fn first_use(nodes: &[Node], uses: fn(&[String]) -> bool) -> Option<Place> {
    fn in_pipeline(pipeline: &Pipeline, uses: fn(&[String]) -> bool) -> Option<Place> {
        pipeline.commands.iter().flatten().find_map(|operand| match &operand.kind {
            Term::Group(group) => in_pipeline(group, uses),
            Term::Dot | Term::Variable(_) if uses(&operand.fields) => Some(operand.place),
            _ => None,
        })
    }
    nodes.iter().find_map(|node| match node {
        Node::Text(_) | Node::Break | Node::Continue => None,
        Node::Action(pipeline) => in_pipeline(pipeline, uses),
        Node::If { condition: pipeline, then, otherwise }
        | Node::With { value: pipeline, then, otherwise }
        | Node::Range { over: pipeline, body: then, otherwise } => {
            in_pipeline(pipeline, uses).or_else(|| first_use(then, uses)).or_else(|| first_use(otherwise, uses))
        }
    })
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Spanned],
    at: usize,
    /// Those that are declared; the first is `$`.
    variables: Vec<String>,
    depth: usize,
    loops: usize,
}

/// The word that ended a list, with its offset.
type End = Option<(&'static str, usize)>;

impl<'t> Parser<'t> {
    fn error<T>(&self, offset: usize, message: impl Into<String>) -> Result<T, TemplateError> {
        Err(TemplateError { place: place(self.text, offset), message: message.into() })
    }

    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at).map(|spanned| &spanned.token)
    }

    fn offset(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |spanned| spanned.offset)
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Token::Space) {
            self.at += 1;
        }
    }

    /// Nodes up to `end`, `else` or the end of the template.
    fn list(&mut self) -> Result<(Vec<Node>, End), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return self.error(self.offset(), format!("more than {DEPTH_LIMIT} blocks within each other"));
        }
        let declared = self.variables.len();
        let mut nodes = Vec::new();
        let mut end = None;
        while let Some(token) = self.peek() {
            if let Token::Text(text) = token {
                nodes.push(Node::Text(text.clone()));
                self.at += 1;
                continue;
            }
            let offset = self.offset();
            self.at += 1;
            self.skip_space();
            let word = match self.peek() {
                Some(Token::Identifier(word)) => word.as_str(),
                _ => "",
            };
            match word {
                "end" => end = Some(("end", offset)),
                "else" => end = Some(("else", offset)),
                "if" | "with" | "range" => {
                    self.at += 1;
                    nodes.push(self.block(word)?);
                    continue;
                }
                "break" | "continue" => {
                    if self.loops == 0 {
                        return self.error(offset, format!("`{word}` outside of a `range`"));
                    }
                    nodes.push(if word == "break" { Node::Break } else { Node::Continue });
                    self.at += 1;
                    self.close()?;
                    continue;
                }
                "define" | "template" | "block" => {
                    return self.error(offset, format!("`{word}` is not supported here"));
                }
                _ => {}
            }
            if end.is_some() {
                self.at += 1;
                break;
            }
            nodes.push(Node::Action(self.pipeline(false)?));
            self.close()?;
        }
        self.variables.truncate(declared);
        self.depth -= 1;
        Ok((nodes, end))
    }

    fn close(&mut self) -> Result<(), TemplateError> {
        self.skip_space();
        match self.peek() {
            Some(Token::Close) => {
                self.at += 1;
                Ok(())
            }
            _ => self.error(self.offset(), "expected `}}`"),
        }
    }

    /// `if`, `with` or `range`, behind the word.
    fn block(&mut self, word: &str) -> Result<Node, TemplateError> {
        let start = self.offset();
        let declared = self.variables.len();
        let pipeline = self.pipeline(word == "range")?;
        self.close()?;
        self.loops += usize::from(word == "range");
        let (then, end) = self.list()?;
        self.loops -= usize::from(word == "range");
        let otherwise = match end {
            Some(("end", _)) => {
                self.close()?;
                Vec::new()
            }
            Some(_) => self.otherwise(word)?,
            None => return self.error(start, format!("this `{word}` has no `end`")),
        };
        self.variables.truncate(declared);
        Ok(match word {
            "if" => Node::If { condition: pipeline, then, otherwise },
            "with" => Node::With { value: pipeline, then, otherwise },
            _ => Node::Range { over: pipeline, body: then, otherwise },
        })
    }

    /// Behind the word `else`: `else if …`, `else with …` or nodes up to `end`.
    fn otherwise(&mut self, word: &str) -> Result<Vec<Node>, TemplateError> {
        let start = self.offset();
        self.skip_space();
        if let Some(Token::Identifier(chained)) = self.peek()
            && chained == word
            && word != "range"
        {
            self.at += 1;
            self.depth += 1;
            if self.depth > DEPTH_LIMIT {
                return self.error(start, format!("more than {DEPTH_LIMIT} blocks within each other"));
            }
            let node = self.block(word)?;
            self.depth -= 1;
            return Ok(vec![node]);
        }
        self.close()?;
        let (nodes, end) = self.list()?;
        match end {
            Some(("end", _)) => {
                self.close()?;
                Ok(nodes)
            }
            Some((_, offset)) => self.error(offset, "a second `else`"),
            None => self.error(start, "this `else` has no `end`"),
        }
    }

    fn pipeline(&mut self, range: bool) -> Result<Pipeline, TemplateError> {
        self.skip_space();
        let place = place(self.text, self.offset());
        let (variables, assigns) = self.declarations(range)?;
        let mut commands = vec![self.command()?];
        loop {
            self.skip_space();
            if self.peek() != Some(&Token::Pipe) {
                break;
            }
            self.at += 1;
            let offset = self.offset();
            let command = self.command()?;
            if !matches!(command.first().map(|operand| &operand.kind), Some(Term::Function(_))) {
                return self.error(offset, "expected a function behind `|`");
            }
            commands.push(command);
        }
        // They are there from the next action on.
        if !assigns {
            self.variables.extend(variables.iter().cloned());
        }
        Ok(Pipeline { place, variables, assigns, commands })
    }

    /// `$a :=`, `$a =`, and in a range `$a, $b :=`.
    fn declarations(&mut self, range: bool) -> Result<(Vec<String>, bool), TemplateError> {
        let start = self.at;
        let mut variables = Vec::new();
        while let Some(Token::Variable(name)) = self.peek() {
            variables.push(name.clone());
            self.at += 1;
            self.skip_space();
            match self.peek() {
                Some(Token::Comma) if range && variables.len() == 1 => {
                    self.at += 1;
                    self.skip_space();
                }
                Some(token @ (Token::Declare | Token::Assign)) => {
                    let assigns = *token == Token::Assign;
                    if let Some(unknown) = variables.iter().find(|name| assigns && !self.variables.contains(name)) {
                        return self.error(self.offset(), format!("${unknown} is not declared"));
                    }
                    self.at += 1;
                    return Ok((variables, assigns));
                }
                _ => break,
            }
        }
        self.at = start;
        Ok((Vec::new(), false))
    }

    fn command(&mut self) -> Result<Vec<Operand>, TemplateError> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                None | Some(Token::Close | Token::Pipe | Token::RightParenthesis) => break,
                Some(_) => operands.push(self.operand()?),
            }
        }
        if operands.is_empty() {
            return self.error(self.offset(), "expected a value");
        }
        Ok(operands)
    }

    fn operand(&mut self) -> Result<Operand, TemplateError> {
        let offset = self.offset();
        let mut fields = Vec::new();
        let Some(token) = self.peek() else { return self.error(offset, "expected a value") };
        self.at += 1;
        let kind = match token {
            Token::Dot => Term::Dot,
            Token::Field(name) => {
                fields.push(name.clone());
                Term::Dot
            }
            Token::Variable(name) if self.variables.contains(name) => Term::Variable(name.clone()),
            Token::Variable(name) => return self.error(offset, format!("${name} is not declared")),
            Token::String(text) => Term::String(text.clone()),
            Token::Int(number) => Term::Int(*number),
            Token::Float(number) => Term::Float(*number),
            Token::Identifier(name) => match name.as_str() {
                "true" => Term::Bool(true),
                "false" => Term::Bool(false),
                "nil" => Term::Nil,
                name if functions::exists(name) => Term::Function(name.into()),
                name => return self.error(offset, format!("the function `{name}` is not supported here")),
            },
            Token::LeftParenthesis => {
                self.depth += 1;
                if self.depth > DEPTH_LIMIT {
                    return self.error(offset, format!("more than {DEPTH_LIMIT} parentheses within each other"));
                }
                let group = self.pipeline(false)?;
                self.depth -= 1;
                self.skip_space();
                if self.peek() != Some(&Token::RightParenthesis) {
                    return self.error(offset, "the parenthesis has no end, `)`");
                }
                self.at += 1;
                Term::Group(Box::new(group))
            }
            other => return self.error(offset, format!("expected a value, found {other:?}")),
        };
        while let Some(Token::Field(name)) = self.peek() {
            fields.push(name.clone());
            self.at += 1;
        }
        Ok(Operand { place: place(self.text, offset), kind, fields })
    }
}
