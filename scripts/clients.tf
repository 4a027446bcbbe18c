# What the public `vpc`, `alb` and `autoscaling` modules make with their defaults and common settings, written out.
# scripts/clients applies it to the embedded region, expects an empty plan, and destroys it.

terraform {
  required_providers { aws = { source = "hashicorp/aws", version = "5.100.0" } }
}

variable "endpoint" { type = string }

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    autoscaling              = var.endpoint
    cloudwatch               = var.endpoint
    ec2                      = var.endpoint
    elbv2                    = var.endpoint
    resourcegroupstaggingapi = var.endpoint
    ssm                      = var.endpoint
    sts                      = var.endpoint
  }
  default_tags { tags = { Course = "log8415" } }
}

data "aws_availability_zones" "all" { state = "available" }
data "aws_ssm_parameter" "image" { name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64" }

locals {
  zones = slice(data.aws_availability_zones.all.names, 0, 2)
  anywhere = {
    protocol = "-1", rule_no = 100, action = "allow", cidr_block = "0.0.0.0/0", from_port = 0, to_port = 0
  }
}

# As the module `vpc` does: it takes the VPC's default network ACL, route table and security group over.
resource "aws_vpc" "lab" {
  cidr_block           = "10.0.0.0/16"
  enable_dns_hostnames = true
  tags                 = { Name = "lab" }
}

resource "aws_default_network_acl" "lab" {
  default_network_acl_id = aws_vpc.lab.default_network_acl_id
  ingress {
    protocol   = local.anywhere.protocol
    rule_no    = local.anywhere.rule_no
    action     = local.anywhere.action
    cidr_block = local.anywhere.cidr_block
    from_port  = local.anywhere.from_port
    to_port    = local.anywhere.to_port
  }
  egress {
    protocol   = local.anywhere.protocol
    rule_no    = local.anywhere.rule_no
    action     = local.anywhere.action
    cidr_block = local.anywhere.cidr_block
    from_port  = local.anywhere.from_port
    to_port    = local.anywhere.to_port
  }
  tags = { Name = "lab-default" }
  lifecycle { ignore_changes = [subnet_ids] }
}

resource "aws_default_route_table" "lab" {
  default_route_table_id = aws_vpc.lab.default_route_table_id
  tags                   = { Name = "lab-default" }
}

resource "aws_default_security_group" "lab" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "lab-default" }
}

resource "aws_subnet" "public" {
  count                   = 2
  vpc_id                  = aws_vpc.lab.id
  cidr_block              = cidrsubnet(aws_vpc.lab.cidr_block, 8, count.index)
  availability_zone       = local.zones[count.index]
  map_public_ip_on_launch = true
  tags                    = { Name = "lab-public-${local.zones[count.index]}" }
}

resource "aws_internet_gateway" "lab" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "lab" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.lab.id
  tags   = { Name = "lab-public" }
}

resource "aws_route" "internet" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.lab.id
}

resource "aws_route_table_association" "public" {
  count          = 2
  subnet_id      = aws_subnet.public[count.index].id
  route_table_id = aws_route_table.public.id
}

resource "aws_network_acl" "public" {
  vpc_id     = aws_vpc.lab.id
  subnet_ids = aws_subnet.public[*].id
  tags       = { Name = "lab-public" }
}

resource "aws_network_acl_rule" "public" {
  for_each       = { inbound = false, outbound = true }
  network_acl_id = aws_network_acl.public.id
  egress         = each.value
  rule_number    = 100
  rule_action    = "allow"
  protocol       = "-1"
  cidr_block     = "0.0.0.0/0"
  from_port      = 0
  to_port        = 0
}

# As the module `alb` does.
resource "aws_security_group" "balancer" {
  name_prefix = "lab-"
  vpc_id      = aws_vpc.lab.id
  lifecycle { create_before_destroy = true }
}

resource "aws_vpc_security_group_ingress_rule" "http" {
  security_group_id = aws_security_group.balancer.id
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "all" {
  security_group_id = aws_security_group.balancer.id
  ip_protocol       = "-1"
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_lb" "lab" {
  name               = "lab"
  load_balancer_type = "application"
  security_groups    = [aws_security_group.balancer.id]
  subnets            = aws_subnet.public[*].id
}

resource "aws_lb_target_group" "of" {
  for_each    = toset(["blue", "green"])
  name        = each.key
  port        = 8080
  protocol    = "HTTP"
  target_type = "instance"
  vpc_id      = aws_vpc.lab.id
  stickiness {
    type            = "lb_cookie"
    enabled         = true
    cookie_duration = 600
  }
  health_check {
    path    = "/health"
    matcher = "200-399"
  }
}

resource "aws_lb_listener" "http" {
  load_balancer_arn = aws_lb.lab.arn
  port              = 80
  protocol          = "HTTP"
  default_action {
    type = "fixed-response"
    fixed_response {
      content_type = "text/plain"
      message_body = "no such cluster"
      status_code  = "404"
    }
  }
}

resource "aws_lb_listener_rule" "weighted" {
  listener_arn = aws_lb_listener.http.arn
  priority     = 10
  condition {
    path_pattern { values = ["/", "/jobs/*"] }
  }
  action {
    type = "forward"
    forward {
      dynamic "target_group" {
        for_each = { blue = 90, green = 10 }
        content {
          arn    = aws_lb_target_group.of[target_group.key].arn
          weight = target_group.value
        }
      }
      stickiness {
        enabled  = true
        duration = 300
      }
    }
  }
}

# As the module `autoscaling` does.
resource "aws_key_pair" "lab" {
  key_name   = "lab"
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0bzs/E2VZzS9HKvH4JGNPjdTjLwPzGGCvOTZ9rT7Qv lab"
}

resource "aws_launch_template" "web" {
  name_prefix            = "web-"
  image_id               = data.aws_ssm_parameter.image.value
  instance_type          = "t3.micro"
  key_name               = aws_key_pair.lab.key_name
  update_default_version = true
  user_data              = base64encode("#!/bin/bash\necho hello\n")
  monitoring { enabled = true }
  network_interfaces {
    device_index                = 0
    associate_public_ip_address = true
    security_groups             = [aws_security_group.balancer.id]
  }
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  tag_specifications {
    resource_type = "instance"
    tags          = { Name = "web" }
  }
}

resource "aws_autoscaling_group" "pooled" {
  name                      = "pooled"
  min_size                  = 0
  max_size                  = 2
  desired_capacity          = 1
  vpc_zone_identifier       = aws_subnet.public[*].id
  health_check_type         = "EC2"
  health_check_grace_period = 60
  default_instance_warmup   = 30
  max_instance_lifetime     = 86400
  termination_policies      = ["OldestLaunchTemplate", "Default"]
  suspended_processes       = ["AZRebalance"]
  enabled_metrics           = ["GroupDesiredCapacity", "GroupInServiceInstances", "WarmPoolWarmedCapacity"]
  wait_for_capacity_timeout = "3m"
  force_delete              = true
  launch_template {
    id      = aws_launch_template.web.id
    version = aws_launch_template.web.latest_version
  }
  warm_pool {
    pool_state                  = "Stopped"
    min_size                    = 1
    max_group_prepared_capacity = 2
    instance_reuse_policy { reuse_on_scale_in = true }
  }
  instance_maintenance_policy {
    min_healthy_percentage = 100
    max_healthy_percentage = 150
  }
  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 50
      checkpoint_delay       = 60
      checkpoint_percentages = [50, 100]
      auto_rollback          = false
    }
  }
  initial_lifecycle_hook {
    name                 = "install"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    heartbeat_timeout    = 30
    default_result       = "CONTINUE"
  }
  tag {
    key                 = "Name"
    value               = "pooled"
    propagate_at_launch = true
  }
}

resource "aws_autoscaling_group" "mixed" {
  name                      = "mixed"
  min_size                  = 0
  max_size                  = 8
  desired_capacity          = 4
  vpc_zone_identifier       = aws_subnet.public[*].id
  target_group_arns         = [aws_lb_target_group.of["blue"].arn]
  wait_for_capacity_timeout = "0"
  force_delete              = true
  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = 50
      spot_allocation_strategy                 = "price-capacity-optimized"
    }
    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.web.id
        version            = "$Latest"
      }
      override {
        instance_type     = "t3.micro"
        weighted_capacity = "1"
      }
      override {
        instance_type     = "t3.small"
        weighted_capacity = "2"
      }
    }
  }
}

resource "aws_autoscaling_traffic_source_attachment" "green" {
  autoscaling_group_name = aws_autoscaling_group.pooled.id
  traffic_source {
    identifier = aws_lb_target_group.of["green"].arn
    type       = "elbv2"
  }
}

resource "aws_autoscaling_schedule" "night" {
  scheduled_action_name  = "night"
  autoscaling_group_name = aws_autoscaling_group.mixed.name
  min_size               = 0
  max_size               = 2
  desired_capacity       = 0
  recurrence             = "0 20 * * 1-5"
  time_zone              = "America/Toronto"
}

resource "aws_autoscaling_policy" "cpu" {
  name                      = "cpu"
  autoscaling_group_name    = aws_autoscaling_group.pooled.name
  policy_type               = "TargetTrackingScaling"
  estimated_instance_warmup = 120
  target_tracking_configuration {
    predefined_metric_specification { predefined_metric_type = "ASGAverageCPUUtilization" }
    target_value = 50
  }
}

resource "aws_autoscaling_policy" "requests" {
  name                   = "requests"
  autoscaling_group_name = aws_autoscaling_group.mixed.name
  policy_type            = "TargetTrackingScaling"
  target_tracking_configuration {
    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = "${aws_lb.lab.arn_suffix}/${aws_lb_target_group.of["blue"].arn_suffix}"
    }
    target_value = 100
  }
  depends_on = [aws_lb_listener_rule.weighted]
}

resource "aws_autoscaling_policy" "steps" {
  name                    = "steps"
  autoscaling_group_name  = aws_autoscaling_group.mixed.name
  policy_type             = "StepScaling"
  adjustment_type         = "ChangeInCapacity"
  metric_aggregation_type = "Average"
  step_adjustment {
    scaling_adjustment          = 1
    metric_interval_lower_bound = 0
    metric_interval_upper_bound = 20
  }
  step_adjustment {
    scaling_adjustment          = 2
    metric_interval_lower_bound = 20
  }
}

resource "aws_cloudwatch_metric_alarm" "busy" {
  alarm_name          = "busy"
  namespace           = "AWS/EC2"
  metric_name         = "CPUUtilization"
  dimensions          = { AutoScalingGroupName = aws_autoscaling_group.mixed.name }
  statistic           = "Average"
  period              = 60
  evaluation_periods  = 2
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 70
  alarm_actions       = [aws_autoscaling_policy.steps.arn]
}

resource "aws_cloudwatch_composite_alarm" "page" {
  alarm_name = "page"
  alarm_rule = "ALARM(${aws_cloudwatch_metric_alarm.busy.alarm_name})"
}

resource "aws_autoscaling_notification" "topic" {
  group_names   = [aws_autoscaling_group.pooled.name]
  notifications = ["autoscaling:EC2_INSTANCE_LAUNCH", "autoscaling:EC2_INSTANCE_TERMINATE"]
  topic_arn     = "arn:aws:sns:us-east-1:000000000000:lab"
}
